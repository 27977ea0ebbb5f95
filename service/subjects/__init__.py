"""Subjects: the end users of a client, by its own pseudonyms. All that was made for one can be erased."""
