"""The program before several cells: `python -m router` sends each request to the cell that it concerns."""
