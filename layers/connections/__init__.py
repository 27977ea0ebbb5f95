"""What connections may cost together: places, turns, and bytes that are not read yet."""
