"""Jobs of one side, posted at once, one by one, or as a Poisson stream; their times are those of their records."""

import io
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.batching.cases import Case
from jobs.batches import MAX_EDITS

#: Seconds that all of a burst's jobs may take.
PATIENCE = 600.0
#: Of the serial side's capacity, what the stream asks for.
LOAD = 0.8


@dataclass(frozen=True)
class Ended:
    """Jobs that have succeeded, as the API shows them, in the order in which they were posted."""

    edits: Sequence[dict[str, Any]]

    @property
    def seconds(self) -> float:
        """From the first one's acceptance to the last one's end."""
        return max(_at(each, "finished_at") for each in self.edits) - min(
            _at(each, "created_at") for each in self.edits
        )

    @property
    def median_latency(self) -> float:
        """Seconds from a job's acceptance to its end."""
        return median(_at(each, "finished_at") - _at(each, "created_at") for each in self.edits)


def _at(edit: dict[str, Any], what: str) -> float:
    return datetime.fromisoformat(edit[what]).timestamp()


class Side:
    """A model of a stack, as a client of one key asks for its edits."""

    def __init__(self, client: httpx.Client, case: Case, model: str) -> None:
        self._client, self._case, self.model = client, case, model

    def burst(self, seeds: Sequence[int]) -> Ended:
        """Jobs that are posted at once, in one request."""
        return self._ended(self.posted(seeds))

    def posted(self, seeds: Sequence[int]) -> list[str]:
        """The ids of jobs that were posted at once, and wait."""
        found: list[str] = []
        for first in range(0, len(seeds), MAX_EDITS):
            edits = [self._case.edit(self.model, seed) for seed in seeds[first : first + MAX_EDITS]]
            answer = self._client.post("/v1/batches", json={"edits": edits}).raise_for_status().json()
            found += [each["id"] for each in answer["edits"]]
        return found

    def alone(self, seed: int) -> Ended:
        """One job on an idle worker."""
        return self._ended([self.post(seed)])

    def post(self, seed: int) -> str:
        """The id of a job that waits."""
        return self._client.post("/v1/edits", json=self._case.edit(self.model, seed)).raise_for_status().json()["id"]

    def stream(self, pauses: Sequence[float]) -> Ended:
        """Jobs with so many seconds between them, whether or not the worker keeps up."""
        ids, due = [], time.monotonic()
        for seed, pause in enumerate(pauses):
            due += pause
            time.sleep(max(0.0, due - time.monotonic()))
            ids.append(self.post(seed))
        return self._ended(ids)

    def fetch(self, job_id: str, wait: int = 0) -> dict[str, Any]:
        """A job as it stands."""
        return self._client.get(f"/v1/edits/{job_id}", params={"wait": wait}).raise_for_status().json()

    def pictures(self, ended: Ended) -> list[np.ndarray]:
        """The jobs' pictures, from 0 to 1."""
        urls = [each["url"] for edit in ended.edits for each in edit["artifacts"] if each["kind"] == "image"]
        files = [self._client.get(url).raise_for_status().content for url in urls]
        return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), dtype=np.float64) / 255 for file in files]

    def _ended(self, ids: Sequence[str]) -> Ended:
        deadline, edits = time.monotonic() + PATIENCE, []
        for job_id in ids:
            while (edit := self.fetch(job_id, wait=30))["finished_at"] is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"edit {job_id} has not ended in {PATIENCE:g} s")
            if edit["status"] != "succeeded":
                raise RuntimeError(f"edit {job_id} ended as {edit['status']}: {edit['error']}")
            edits.append(edit)
        return Ended(edits)


def pauses(count: int, seconds_a_job: float) -> list[float]:
    """Between jobs of a Poisson stream at `LOAD` of a worker that takes so long for each; the same at every run."""
    draw = random.Random(0)
    return [draw.expovariate(LOAD / seconds_a_job) for _ in range(count)]


def furthest(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """The largest difference between pictures, of values from 0 to 1."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))
