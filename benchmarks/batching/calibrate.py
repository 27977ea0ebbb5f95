"""Which `max_rows` a model's workers should have on this machine: measured with the cohort itself."""

import os
import resource
import statistics
import time
from typing import Any

import torch

from benchmarks.variants import Family, model
from p2p.cohort.cohort import Cohort
from p2p.spec import EditSpec

#: Guided pairs in one forward pass; each has four rows.
PAIRS, QUICK_PAIRS = (1, 2, 3, 4, 6, 8, 12, 16), (1, 2, 4)
ROWS_OF_PAIR = 4
#: By how much a row's time must still fall for more rows to be worth it, and what share of the memory may be in use.
GAIN, MEMORY = 0.03, 0.9
#: Turns that warm up, and those that are timed.
WARM, TIMED = 2, 5


def calibrated(name: str, size: int, device: str, *, quick: bool = False) -> dict[str, Any]:
    """The proposal, and what it rests on."""
    family, found, proposed = model(name, device), [], ROWS_OF_PAIR
    best = float("inf")
    for pairs in QUICK_PAIRS if quick else PAIRS:
        try:
            seconds, share = _turn(family, size, pairs)
        except (MemoryError, torch.OutOfMemoryError):
            break
        rows = pairs * ROWS_OF_PAIR
        found.append({"rows": rows, "ms_a_row": round(seconds / rows * 1000, 3), "memory_share": round(share, 3)})
        if share > MEMORY or seconds / rows > best * (1 - GAIN):
            break
        best, proposed = seconds / rows, rows
    return {"model": name, "size": size, "max_rows": proposed, "measured": found}


def _turn(family: Family, size: int, pairs: int) -> tuple[float, float]:
    """The median seconds of a turn of so many pairs, and the share of the memory in use at most."""
    if family.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with Cohort(family) as cohort:
        for seed in range(pairs):
            cohort.join(_pair(size, seed))
        times = []
        for _ in range(WARM + TIMED):
            began = _now(family)
            cohort.turn()
            times.append(_now(family) - began)
        return statistics.median(times[WARM:]), _memory_share(family)


def _pair(size: int, seed: int) -> EditSpec:
    return EditSpec.model_validate(
        {
            "source": {"prompt": "a cat on a beach"},
            "targets": [{"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}],
            "sampling": {"steps": 20, "guidance_scale": 7.5, "seed": seed, "height": size, "width": size},
            "artifacts": {"heatmaps": False},
        }
    )


def _now(family: Family) -> float:
    if family.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _memory_share(family: Family) -> float:
    if family.device.type == "cuda":
        return torch.cuda.max_memory_reserved() / torch.cuda.get_device_properties(family.device).total_memory
    # Of the process, at most so far; the kernel counts in kilobytes.
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * 1024
        / (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    )
