"""The page that tries edits."""
