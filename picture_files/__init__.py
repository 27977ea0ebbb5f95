"""Pictures that people send, read in processes of their own. No torch."""
