"""The worker: one model or several in one process, working off their queues one job at a time."""
