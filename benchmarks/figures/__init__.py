"""`python -m benchmarks.figures`: figures of Hertz et al. 2022 on the built-in model. Seeds are fixed, none chosen."""
