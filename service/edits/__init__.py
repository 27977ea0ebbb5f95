"""Edits over HTTP: posted, followed, listed, canceled, erased."""
