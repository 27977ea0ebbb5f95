"""`python -m benchmarks.api`: what the API costs beside a bare route, and what serving adds to an edit.

Saturated requests a second, ours over bare: closed loop, 32 connections, one uvicorn process each, on loopback, our
logs on; medians of interleaved pairs. Ours asks for a key, has limits and an `Idempotency-Key`, and gives the status of
a running edit; bare is `benchmarks.bare`. The p99 are open loop at half of our saturated rate. The overhead is the
median over two-step edits on an idle worker: from the POST sent to the record saying `succeeded`, less what the worker
timed in that same job for the library's call and for encoding PNGs.
"""

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import redis

from benchmarks.load import http, p99_ms, saturated
from jobs import moves
from jobs.model import JobProgress
from jobs.redis.store import RedisJobStore
from service.api_keys import KeyRing
from stack.ports import free_port
from stack.processes import python, running
from stack.services import stack

#: Pairs, seconds of each measurement, edits whose overhead is taken. Many short pairs: what disturbs a machine for some
#: seconds then spoils one of them.
FULL, QUICK = (9, 2.5, 50), (1, 1.0, 5)
EDIT = {
    "source": {"prompt": "a cat on a beach"},
    "targets": [{"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}],
    "sampling": {"steps": 2},
    "artifacts": {"heatmaps": False},
}


@dataclass(frozen=True)
class Side:
    """A server, and what it is asked."""

    port: int
    status: bytes
    headers: tuple[tuple[str, str], ...]

    def submit(self, numbers: Iterator[int]) -> bytes:
        """A request that posts an edit which was not posted before."""
        headers = [*self.headers, ("Idempotency-Key", f"order-{next(numbers)}")]
        return http("POST", "/v1/edits", json.dumps(EDIT).encode(), headers)


@contextmanager
def sides(folder: Path) -> Iterator[tuple[Side, Side, str]]:
    """Ours and the bare one, up, on one Redis; and the address of a finished edit."""
    settings = {"BACKLOG": "10000000"}
    with (
        stack(folder, {}, settings=settings) as ours,
        redis.Redis.from_url(ours.redis_url, decode_responses=True) as db,
    ):
        made = KeyRing(db).create("benchmark", per_minute=1e9, burst=10**6, active=10**7)
        assert made
        headers = (("Authorization", f"Bearer {made[1]}"),)
        with httpx.Client(base_url=ours.url, headers=dict(headers)) as client:
            accepted, finished = (client.post("/v1/edits", json=EDIT) for _ in range(2))
            store = RedisJobStore(db)
            job, done = (
                store.make(moves.begin(store.get(each.json()["id"]), "execution", timedelta(hours=1)))
                for each in (accepted, finished)
            )
            store.make(moves.report(job, JobProgress(step=1, steps=2)))
            store.make(moves.finish(done, ()))
            address = f"/v1/edits/{job.id}"
            sizes = [len(client.get(address).content), len(accepted.content)]
        port = free_port()
        command = python("-m", "benchmarks.bare", str(port), *map(str, sizes))
        with running("bare", command, folder / "bare.log", {"REDIS_URL": ours.redis_url}):
            _wait(f"http://127.0.0.1:{port}/v1/edits/x")
            status = http("GET", address, headers=headers)
            yield (
                Side(httpx.URL(ours.url).port or 0, status, headers),
                Side(port, status, headers),
                f"/v1/edits/{done.id}",
            )


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody answers at {url}")


async def compared(ours: Side, bare: Side, finished: str, pairs: int, seconds: float) -> dict[str, float]:
    """The ratios and the open-loop latencies."""
    numbers = itertools.count()
    done = http("GET", finished, headers=ours.headers)
    rates: dict[str, list[float]] = {}
    kinds = {
        "status": (lambda side: side.status, 200),
        "submit": (lambda side: side.submit(numbers), 202),
        "finished": (lambda side: done if side is ours else side.status, 200),
    }
    for _ in range(pairs):
        for kind, (make, expected) in kinds.items():
            for name, side in (("bare", bare), ("ours", ours)):
                rate = await saturated(side.port, partial(make, side), expected, seconds)
                rates.setdefault(f"{name} {kind}", []).append(rate)

    def ratio(kind: str) -> float:
        pairs = zip(rates[f"ours {kind}"], rates[f"bare {kind}"], strict=True)
        return round(median(one / other for one, other in pairs), 3)

    latencies = {
        kind: await p99_ms(ours.port, partial(make, ours), expected, median(rates[f"ours {kind}"]) / 2, seconds)
        for kind, (make, expected) in kinds.items()
        if kind != "finished"
    }
    return {
        "status_to_bare": ratio("status"),
        "submit_to_bare": ratio("submit"),
        "status_finished_to_bare": ratio("finished"),
        "status_p99_ms": round(latencies["status"], 2),
        "submit_p99_ms": round(latencies["submit"], 2),
    }


def overhead_ms(folder: Path, edits: int) -> float:
    """What serving adds to an edit."""
    found = []
    with stack(folder, {"scenes": 1}) as served, httpx.Client(base_url=served.url, timeout=60) as client:
        for number in range(edits + 3):
            sent = time.time()
            job = client.post("/v1/edits", json=EDIT, headers={"Prefer": "wait=30"}).raise_for_status().json()
            stored = datetime.fromisoformat(job["finished_at"]).timestamp()
            (manifest,) = (each["url"] for each in job["artifacts"] if each["kind"] == "manifest")
            in_model = sum(client.get(manifest).json()["seconds"].values())
            if number >= 3:  # the first ones warm up
                found.append((stored - sent - in_model) * 1000)
    return median(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one pair, a second each; under a minute")
    pairs, seconds, edits = QUICK if parser.parse_args().quick else FULL
    with tempfile.TemporaryDirectory(prefix="api-") as place:
        folder = Path(place)
        with sides(folder / "sides") as (ours, bare, finished):
            report = asyncio.run(compared(ours, bare, finished, pairs, seconds))
        report["serving_overhead_ms"] = round(overhead_ms(folder / "served", edits), 2)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
