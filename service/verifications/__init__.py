"""What a picture that somebody sends says of its origin: the detector beside the marks."""
