"""Pictures that clients send: read in a process of their own, normalised once, kept for a while."""
