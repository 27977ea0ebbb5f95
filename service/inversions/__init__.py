"""Kept inversions over HTTP."""
