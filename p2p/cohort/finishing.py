"""The last stage of jobs that ended in one turn: their pictures are made together."""

from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from p2p.cohort.failures import halves, let_go
from p2p.cohort.member import Member
from p2p.families.base import ModelFamily
from p2p.stepping import made_of

#: Of each member its pixels, (1 + targets, 3, height, width) in 0..1, or the error that it alone meets.
Finished = list[tuple[Member, Tensor | Exception]]


def finish_together(family: ModelFamily, members: Sequence[Member]) -> Generator[Member, None, Finished]:
    """The pictures of members that have done all their steps.

    Yields the member after each step of finishing that it did. If it fails for several, it is done again in halves:
    an error ends with the one member whose error it is.

    Raises:
        torch.AcceleratorError: the device is lost.
    """
    try:
        pixels = yield from _pixels(family, members)
        return list(zip(members, pixels, strict=True))
    except torch.AcceleratorError:
        raise
    except Exception as error:
        failure = let_go(error)
    if len(members) == 1:
        return [(members[0], failure)]
    first, second = halves(members)
    return [*(yield from finish_together(family, first)), *(yield from finish_together(family, second))]


def _pixels(family: ModelFamily, members: Sequence[Member]) -> Generator[Member, None, Sequence[Tensor]]:
    latents = []
    for member in members:
        member.require_finite()
        assert member.latents is not None
        latents.append(member.latents)
    rows = [replace(row, run=run) for run, member in enumerate(members) for row in member.drawn_from]
    pixels = yield from made_of(family.finish(torch.cat(latents), rows), lambda run: [members[run]])
    return pixels.split([member.pictures for member in members])
