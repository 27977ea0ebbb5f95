"""What is left of accepted jobs when processes are killed and connections fail; `python -m benchmarks.recovery`."""
