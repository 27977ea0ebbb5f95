"""`python -m benchmarks.fleet`: how many workers one Redis carries, and what breaks first."""
