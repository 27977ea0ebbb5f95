"""What a step of a run is, and what its noise is drawn from. The loop itself is `p2p.cohort`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class DenoisingStep:
    """One step that is done.

    Attributes:
        index: from 0.
        num_steps: of the run.
        latents: (rows, channels, height, width) after the step and its local blend; a job's source comes first.
        clean: gives the latents that the run is heading for, of the same shape, as its last prediction has it; to be
            called before the run goes on. None if nobody can say.
        finished, finishing: how many steps of finishing are done, and how many follow the run's last step; of several
            runs, those of them all. Only models whose pictures further networks make larger have any.
    """

    index: int
    num_steps: int
    latents: Tensor
    clean: Callable[[], Tensor] | None = None
    finished: int = 0
    finishing: int = 0


def noise_streams(seed: int, rows: int) -> list[torch.Generator]:
    """One stream of noise for each row of a run, all the same: the source and its targets share every draw.

    They are on the CPU, so that a seed means the same picture on every device.
    """
    return [torch.Generator().manual_seed(seed) for _ in range(rows)]
