"""A run as a part of a cohort: it joins, waits for each turn, and takes from the turn what is its own.

Who makes the turns is all that differs between a job alone and a job among others.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace

from PIL import Image

from p2p.cohort.cohort import Cohort
from p2p.cohort.member import Member
from p2p.cohort.turn import Turn
from p2p.edit import Clock, EditResult, side_by_side
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec
from p2p.trajectory import Trajectory
from worker.events import Waiting
from worker.usage import Share

#: What a run yields: its steps, its share of each turn, and that it waits for the next one.
Stepped = DenoisingStep | Share | Waiting
#: Gives the next turn, with the number of jobs in it.
NextTurn = Callable[[], Generator[Waiting, None, tuple[Turn, int]]]


def joined_run(
    cohort: Cohort,
    next_turn: NextTurn,
    spec: EditSpec,
    kept: Trajectory | None,
    masks: Mapping[str, Image.Image],
    *,
    joined: Callable[[Sequence[Member]], None] = lambda members: None,
) -> Generator[Stepped, None, tuple[EditResult, ...]]:
    """Every step of a spec's seeds side by side; returns the result of each.

    Args:
        kept: the source's run, if it is known already; of a spec of one seed.
        joined: called with the members.
    Raises:
        Exception: the first error of any of them. None of them is in the cohort then.
    """
    clock, members = Clock(), list[Member]()
    try:
        for seed in spec.seeds:
            keep = spec.artifacts.trajectory
            members.append(cohort.join(spec.of_seeds(seed), kept=kept, keep=keep, masks=masks))
        joined(members)
        clock.lap("encode")
        results = yield from _to_the_end(members, next_turn, clock)
    finally:
        for member in members:
            cohort.leave(member)
    return results


def _to_the_end(
    members: Sequence[Member], next_turn: NextTurn, clock: Clock
) -> Generator[Stepped, None, tuple[EditResult, ...]]:
    steps: dict[Member, DenoisingStep] = {}
    results: dict[Member, EditResult] = {}
    while len(results) < len(members):
        turn, jobs = yield from next_turn()
        rows = sum(turn.rows.get(member, 0) for member in members)
        if rows:
            clock.seconds[turn.part] = clock.seconds.get(turn.part, 0.0) + turn.seconds
            yield Share(turn.part, turn.seconds, rows, sum(turn.rows.values()), jobs)
        for member in members:
            if member in turn.errors:
                raise turn.errors[member]
        steps.update((member, turn.steps[member]) for member in members if member in turn.steps)
        results.update((member, turn.results[member]) for member in members if member in turn.results)
        if any(member in turn.steps for member in members):
            yield side_by_side([steps[member] for member in members])
        elif rows and len(results) < len(members):  # the family is still at their pictures
            yield replace(side_by_side([steps[member] for member in members]), clean=None)
    return tuple(replace(results[member], seconds=clock.seconds) for member in members)
