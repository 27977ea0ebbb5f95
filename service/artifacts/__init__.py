"""Artifacts over HTTP, by signed URLs."""
