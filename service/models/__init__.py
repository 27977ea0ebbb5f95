"""The models of this installation over HTTP, and how the API counts their tokens."""
