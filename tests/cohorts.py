"""Cohorts run to their end, and a family on which a job's rows are computed alike whatever is beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2p.cohort.cohort import Cohort
from p2p.cohort.member import Member
from p2p.cohort.turn import Turn
from p2p.edit import EditResult
from p2p.families.base import ModelFamily
from p2p.families.packed import pack
from tests import families


def packed(build: Callable[[], Any]) -> ModelFamily:
    """A family as `load` makes it: its kernels add in one order, whatever the number of rows (`docs/attention.md`)."""
    pipeline = build()
    for network in (pipeline.unet, pipeline.vae.decoder):
        pack(network)
    return families.of(pipeline)


@dataclass
class Outcome:
    """What members came to, and every turn."""

    results: dict[Member, EditResult] = field(default_factory=dict)
    errors: dict[Member, Exception] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)


def to_the_end(
    cohort: Cohort, between: Mapping[int, Callable[[], object]] | Sequence[Callable[[], object]] = ()
) -> Outcome:
    """Turns until nobody is left.

    Args:
        between: what is done before some turns, by their numbers.
    """
    actions, outcome = dict(between) if isinstance(between, Mapping) else dict(enumerate(between)), Outcome()
    number = 0
    while cohort.members or actions:
        actions.pop(number, lambda: None)()
        number += 1
        if cohort.members:
            turn = cohort.turn()
            outcome.turns.append(turn)
            outcome.results.update(turn.results)
            outcome.errors.update(turn.errors)
    return outcome
