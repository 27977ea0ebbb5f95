"""Webhooks, by Standard Webhooks 1.0: messages, signatures, the retry schedule, the due list, the log."""
