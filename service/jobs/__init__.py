"""Old places of `jobs`, kept for one version: programs of others import them."""
