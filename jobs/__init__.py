"""The job plane: what a job is, and where jobs, their queue and their results are kept.

All that `service` and `worker` share lies here. Imports neither FastAPI nor torch nor RQ's worker.
"""
