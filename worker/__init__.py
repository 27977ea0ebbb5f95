"""The worker: one model resident in one process, working off that model's queue."""
