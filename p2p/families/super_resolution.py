"""Small pixels made large, the last stage of models of pixels: by further networks, whose attention nobody controls."""

from collections.abc import Generator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from p2p.families.base import DrawnFrom
from p2p.samplers.predictions import of_state
from p2p.sampling import noise_streams
from p2p.schedulers import takes_variance

#: Added to a seed for the noise of this stage: otherwise its first values would be those that the run began with.
_STAGE, _SEEDS = 31_000_001, 2**32


#: What the rows are drawn from.
Texts = Sequence[DrawnFrom]


class Stage(Protocol):
    """Networks that remove noise from large pixels, or from latents of them, beside the small ones.

    Attributes:
        factor: how many times as long a side becomes.
        steps: of its run.
        scheduler: of diffusers; each run takes a fresh one.
    """

    factor: int
    steps: int
    scheduler: Any

    @property
    def networks(self) -> Sequence[torch.nn.Module]:
        """All that has weights."""
        ...

    def noise_shape(self, small: Tensor) -> tuple[int, int, int]:
        """Channels, height and width of what noise is removed from."""
        ...

    def begun(self, small: Tensor, streams: Sequence[torch.Generator], rows: Texts) -> Any:
        """What the networks see at each step beside the noise and the timestep: made once for a run.

        Args:
            small: (rows, 3, height, width) in -1..1.
            streams: of noise, one for each row, all the same.
        """
        ...

    def predicted(self, state: Tensor, seen: Any, timestep: Tensor, index: int) -> Tensor:
        """The guided output for the rows."""
        ...

    def pixels(self, state: Tensor) -> Tensor:
        """The large pixels in -1..1 of the last step's state."""
        ...


def enlarged(small: Tensor, rows: Sequence[DrawnFrom], stages: Sequence[Stage]) -> Generator[int, None, Tensor]:
    """Pixels in -1..1 that all stages have made larger. Yields the run's number after each of its steps.

    Rows of a run share their noise and their calls, so that pixels that are equal stay equal. Runs are made one after
    the other: what is made of one does not depend on those beside it.

    Args:
        small: (rows, 3, height, width) in -1..1.
    """
    made: list[Tensor] = []
    for run in dict.fromkeys(row.run for row in rows):
        places = [place for place, row in enumerate(rows) if row.run == run]
        pixels, of_run = small[places], [rows[place] for place in places]
        for number, stage in enumerate(stages, 1):
            seed = (of_run[0].seed + number * _STAGE) % _SEEDS
            pixels = yield from larger(pixels, of_run, stage, seed)
        made.append(pixels)
    return torch.cat(made)


def larger(small: Tensor, rows: Texts, stage: Stage, seed: int) -> Generator[int, None, Tensor]:
    """Pixels of one run that one stage has made larger."""
    scheduler = type(stage.scheduler).from_config(stage.scheduler.config)
    scheduler.set_timesteps(stage.steps, device=small.device)
    streams, shape = noise_streams(seed, len(small)), stage.noise_shape(small)
    state = torch.cat([torch.randn((1, *shape), generator=stream) for stream in streams]).to(small)
    with torch.no_grad():
        seen = stage.begun(small, streams, rows)
    for index, timestep in enumerate(scheduler.timesteps):
        with torch.no_grad():
            output = stage.predicted(state, seen, timestep, index)
            if not takes_variance(scheduler):
                output = of_state(output, state)
            state = scheduler.step(output, timestep, state, generator=streams, return_dict=False)[0]
        yield rows[0].run
    with torch.no_grad():
        return stage.pixels(state)
