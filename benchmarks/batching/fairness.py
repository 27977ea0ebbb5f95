"""How many jobs of one key go before the first job of a second one that is posted behind 500 of them."""

import time
from typing import Any

from benchmarks.batching.measuring import PATIENCE, Side

#: Jobs of the first key.
WAITING = 500


def ahead_of_second_key(first: Side, second: Side) -> int:
    """Jobs of the first key that were begun between the acceptance of the second key's job and its begin.

    Args:
        first, second: the same model, as clients of two keys.
    """
    ids = first.posted(range(WAITING))
    _begun(first, ids[0])
    late = second.post(0)
    begun = _begun(second, late)
    # Of one key jobs are begun in turn: what follows one that waits, waits too.
    ahead = 0
    for job_id in ids:
        job = first.fetch(job_id)
        if job["started_at"] is None or job["started_at"] > begun["started_at"]:
            break
        ahead += job["started_at"] > begun["created_at"]
    return ahead


def _begun(side: Side, job_id: str) -> dict[str, Any]:
    """A job once a worker has begun it."""
    deadline = time.monotonic() + PATIENCE
    while (job := side.fetch(job_id))["started_at"] is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"edit {job_id} was not begun in {PATIENCE:g} s")
        time.sleep(0.02)
    return job
