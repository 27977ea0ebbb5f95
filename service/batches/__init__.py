"""Batches of edits over HTTP."""
