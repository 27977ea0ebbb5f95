"""What one turn of a cohort did, by member."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from p2p.cohort.member import Member
from p2p.result import EditResult
from p2p.sampling import DenoisingStep


@dataclass(frozen=True, eq=False, kw_only=True)
class Turn:
    """One turn: a step of every job that is denoised, or a piece of finishing jobs that have done all their steps.

    Attributes:
        part: which of the two, by its name in `EditResult.seconds`.
        seconds: that it took.
        rows: that each member had in it. A member's share of the turn's seconds is its share of these. Of a member that
            is finished, as many as it makes pictures.
        steps: of each member that did one, of its run or of finishing. Its `clean` holds until the next turn; a step of
            finishing has none.
        results: of each member that is finished. It is in the cohort no more.
        errors: of each member that failed by itself. It is in the cohort no more.
    """

    part: Literal["denoise", "decode"]
    seconds: float
    rows: Mapping[Member, int]
    steps: Mapping[Member, DenoisingStep] = field(default_factory=dict)
    results: Mapping[Member, EditResult] = field(default_factory=dict)
    errors: Mapping[Member, Exception] = field(default_factory=dict)
