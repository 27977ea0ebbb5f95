"""What sharing forward passes gains, over the whole stack: `python -m benchmarks.batching`."""
