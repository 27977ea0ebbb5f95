"""What became of an edit's webhook, over HTTP."""
