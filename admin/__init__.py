"""The operator's commands: `python -m admin`."""
