"""What a loop takes in memory at its peak, a fresh process for each.

A keeper is forked once the models are loaded and before anything ran in more than one thread (a fork after OpenMP has
made its threads would hang); it idles until it is asked, then forks for every loop. There a first run compiles the
kernels it needs, which stay; then the high-water mark is reset (`/proc/self/clear_refs`) and a second run is made and
stepped. The peak less what was resident counts, so what a run keeps for its whole length, such as the prompts' keys and
values, is in it.
"""

import ctypes
import gc
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.variants import BUILT_IN, VARIANTS, WINDOWS, loops_of, model, spec

LOOPS = ("plain", "ours", "oracle")
#: Steps of 50 that cover what there is: inside both windows, inside the cross window only, after.
COVERING = (5, 30, 45)
#: The same where windows end earlier.
EARLIER = (5, 15, 45)
#: mallopt(3): big tensors go back to the system when they are freed. Else the mark is one of the allocator's holes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, THRESHOLD = -1, -3, 1 << 18
#: mlockall(2): the pages that are mapped now.
MCL_CURRENT = 1

Case = tuple[str, int, int]


class Peaks:
    """A process that measures, forked from this one with its models; `torch` must have run in one thread only."""

    def __init__(self, threads: int) -> None:
        asking, self._ask = os.pipe()
        self._answer, answering = os.pipe()
        if os.fork() == 0:
            os.close(self._ask)
            cases, covering, first = json.loads(_read(asking))
            found = [
                {loop: in_child(threads, loop, covering, first, *case) for loop in loops_of(case[0], LOOPS)}
                for case in cases
            ]
            os.write(answering, json.dumps(found).encode())
            os._exit(0)
        os.close(answering)

    def of(self, cases: Sequence[Case], *, quick: bool = False) -> list[dict[str, int]]:
        """Bytes at the peak of every case's (model, size, edits) loops; `quick` looks at one step, at once."""
        covering = COVERING[:1] if quick else ()
        os.write(self._ask, json.dumps([list(cases), list(covering), not quick]).encode())
        os.close(self._ask)
        return json.loads(_read(self._answer))


def in_child(threads: int, loop: str, covering: Sequence[int], first: bool, name: str, size: int, edits: int) -> int:
    """One loop's peak, in a fork of this process."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        torch.set_num_threads(threads)
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(option, THRESHOLD)
        os.write(writing, str(peak(lambda: step_through(loop, name, size, edits, covering), first)).encode())
        os._exit(0)
    os.close(writing)
    text = _read(reading)
    os.wait()
    if not text:
        raise RuntimeError(f"the {loop} loop of {name} at {size}x{size} with {edits} edits died while it was measured")
    return int(text)


def peak(run: Callable[[], None], first: bool) -> int:
    """Bytes that a run takes at its peak beyond what was resident; after a first run, if there is to be one."""
    if first:
        run()
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.malloc_trim(0)  # what is free but still held goes back, or the second run would hide in it
    # What is mapped is brought in and stays: else the run is charged for pages that are not its own, those it touches
    # first or that the kernel had reclaimed as idle (DAMON does on virtual machines).
    libc.mlockall(MCL_CURRENT)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark (proc(5))
    run()
    return status("VmHWM") - before


def device_peak(loop: str, name: str, size: int, edits: int, *, compiled: bool) -> int:
    """The same on a GPU, where the allocator counts."""
    family = model(name, "cuda", compiled=compiled)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step_through(loop, name, size, edits, (), family)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def step_through(loop: str, name: str, size: int, edits: int, covering: Sequence[int], family=None) -> None:
    """Makes a run and does the steps that differ: those of `covering`, or all of them if it names none."""
    run = VARIANTS[loop](family or model(name), spec(name, size, edits, maps=False))
    covering = covering or (EARLIER if name in WINDOWS else COVERING)
    for index in range(run.num_steps) if name in BUILT_IN else covering:
        run.step(index)


def status(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _read(pipe: int) -> str:
    with os.fdopen(pipe) as file:
        return file.readline()
