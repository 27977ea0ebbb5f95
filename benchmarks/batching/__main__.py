"""`python -m benchmarks.batching`: what sharing forward passes gains, over the whole stack.

One Redis, one API and two workers of the same model with the same threads: `serial` has no `max_rows`, `batched` has.
While one is measured the other idles, and they are measured in turn. Jobs are guided pairs.

throughput_to_serial   jobs a second, of so many that are posted at once
p50_latency_to_serial  the median latency of a Poisson stream at 80 % of the serial side's capacity; less is better
lone_job_to_serial     the speed of one job on an idle worker
max_difference         between the pictures of both sides, of values from 0 to 1
ahead_of_second_key    jobs that go before a second key's first one, with 500 of the first key waiting

`--calibrate` proposes `max_rows` for each model on this machine: the most rows whose time a row still falls by more
than 3 %, with at most 90 % of the memory in use. Run it with nothing else running.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import redis

from benchmarks.batching.cases import BATCHED, CASES, QUICK, SERIAL, Case, models_file
from benchmarks.batching.fairness import ahead_of_second_key
from benchmarks.batching.measuring import Ended, Side, furthest, pauses
from service.api_keys import KeyRing
from stack.services import stack

#: Seconds that an answer may take; a wait takes 30.
TIMEOUT = 60.0
#: A lone job takes little time, and is measured so often for each pair.
LONE = 3


@contextmanager
def clients(case: Case, folder: Path, device: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """The stack of a case, as clients of two keys."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count() or 1)
    settings = {"OMP_NUM_THREADS": threads, "DEVICE": device}
    if device == "cuda":
        settings["DTYPE"] = "bfloat16"
    with ExitStack() as parts:
        file = models_file(case, folder)
        up = parts.enter_context(stack(folder, {SERIAL: 1, BATCHED: 1}, models_file=file, settings=settings))
        database = parts.enter_context(redis.Redis.from_url(up.redis_url, decode_responses=True))
        tokens = [made[1] for name in ("first", "second") if (made := KeyRing(database).create(name))]
        first, second = (
            parts.enter_context(
                httpx.Client(base_url=up.url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)
            )
            for token in tokens
        )
        yield first, second


def rows(case: Case, serial: Side, batched: Side) -> list[dict[str, Any]]:
    """A row of the report for each number of jobs."""
    sides = (serial, batched)
    for side in sides:
        side.alone(0)  # the first one warms up
    lone = _in_turn(LONE * case.pairs, sides, lambda side, turn: side.alone(turn))
    bursts = {
        jobs: _in_turn(
            case.pairs, sides, lambda side, turn, jobs=jobs: side.burst([turn * jobs + n for n in range(jobs)])
        )
        for jobs in case.jobs
    }
    most = case.jobs[-1]
    a_job = median(each.seconds for each in bursts[most][0]) / most
    between = pauses(case.stream, a_job)
    streams = [side.stream(between) for side in sides]
    latency = streams[1].median_latency / streams[0].median_latency
    return [
        {
            "model": case.model,
            "size": case.size,
            "jobs": jobs,
            "throughput_to_serial": _ratio(found),
            "p50_latency_to_serial": round(latency, 3),
            "lone_job_to_serial": _ratio(lone),
            "max_difference": furthest(*(side.pictures(each[0]) for side, each in zip(sides, found, strict=True))),
        }
        for jobs, found in bursts.items()
    ]


def _in_turn(pairs: int, sides: Sequence[Side], measure: Any) -> tuple[list[Ended], ...]:
    """Each side's measurements; the other one goes first each time."""
    found: tuple[list[Ended], ...] = tuple([] for _ in sides)
    for turn in range(pairs):
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            found[index].append(measure(sides[index], turn))
    return found


def _ratio(found: Sequence[Sequence[Ended]]) -> float:
    """How many times as fast the batched side is as the serial one: the median of the pairs."""
    return round(median(one.seconds / other.seconds for one, other in zip(*found, strict=True)), 3)


def without_device(case: Case) -> list[dict[str, Any]]:
    """The rows of a case where there is no GPU: they say so."""
    figures = ("throughput_to_serial", "p50_latency_to_serial", "lone_job_to_serial", "max_difference")
    about = {"model": case.model, "size": case.size}
    return [{**about, "jobs": jobs, **dict.fromkeys(figures), "missing": "no CUDA device"} for jobs in case.jobs]


def _has_cuda() -> bool:
    import torch  # which takes seconds, and the CPU's side of the report needs none of it

    return torch.cuda.is_available()


def report(cases: Sequence[Case], device: str) -> dict[str, Any]:
    """Everything that is measured; fairness on the last case's stack."""
    found: list[dict[str, Any]] = []
    ahead = None
    for case in cases:
        if device == "cuda" and not _has_cuda():
            found += without_device(case)
            continue
        with tempfile.TemporaryDirectory(prefix="batching-") as place, clients(case, Path(place), device) as keys:
            serial, batched, second = (
                Side(keys[0], case, SERIAL),
                Side(keys[0], case, BATCHED),
                Side(keys[1], case, BATCHED),
            )
            found += rows(case, serial, batched)
            if case is cases[-1]:
                ahead = ahead_of_second_key(batched, second)
    return {"rows": found, "fair": {"ahead_of_second_key": ahead}}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batching", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="`scenes` with short jobs, one pair; under a minute")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--calibrate", action="store_true", help="propose `max_rows` for each model")
    arguments = parser.parse_args()
    cases = QUICK if arguments.quick else CASES[arguments.device]
    if arguments.calibrate:
        from benchmarks.batching.calibrate import calibrated

        print(
            json.dumps({"rows": [calibrated(c.model, c.size, arguments.device, quick=arguments.quick) for c in cases]})
        )
    else:
        print(json.dumps(report(cases, arguments.device)))


if __name__ == "__main__":
    main()
