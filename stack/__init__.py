"""The whole service on one machine: what `make serve`, `make demo` and the integration tests share."""
