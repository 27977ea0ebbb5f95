"""Two cells and a router, while one cell loses its Redis, its workers and its API; `python -m benchmarks.cells`."""
