"""What thousands of waiting clients cost one API process."""
