"""The program that sends webhooks: `python -m outbox`."""
