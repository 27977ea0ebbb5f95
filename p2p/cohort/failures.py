"""What is done with an error that may concern one job of several: memory is freed, and the jobs are split."""

import gc
import traceback
from collections.abc import Sequence
from typing import TypeVar

import torch

Each = TypeVar("Each")


def out_of_memory(error: Exception) -> bool:
    """Whether memory was short, the device's or the process's."""
    # PyTorch says so on the CPU as a RuntimeError.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def let_go(error: Exception) -> Exception:
    """An error that holds on to nothing; where memory was short, what is free goes back to the device.

    A traceback keeps the variables of every function that it went through: all activations of a forward pass.
    """
    traceback.clear_frames(error.__traceback__)
    if out_of_memory(error):
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return error


def halves(jobs: Sequence[Each]) -> tuple[Sequence[Each], Sequence[Each]]:
    """Two parts of jobs, neither empty; at least two are needed."""
    middle = (len(jobs) + 1) // 2
    return jobs[:middle], jobs[middle:]
