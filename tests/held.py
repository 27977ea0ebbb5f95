"""A worker that stands still in the middle of a job: a job need not be long for something to happen within it."""

from pathlib import Path

_PROGRAM = """
import os, time
from p2p.cohort.member import Member
from worker import publishing
publishing.LOOK_INTERVAL = 0
took = Member.took
def taken(self, answer):
    while self.num_steps in {steps} and self.index >= 2 and not os.path.exists({go!r}):
        time.sleep(0.01)
    return took(self, answer)
Member.took = taken
"""


def held(go: Path, *steps: int) -> str:
    """A program that is run before the worker's own: jobs of so many steps stand still at the third until a file is
    there.

    Their leases are renewed meanwhile, as they are within any long step. Then the worker looks at the jobs' records
    with each step: few short steps may follow, and what happened meanwhile is to be seen before the last one.
    """
    return _PROGRAM.format(steps=steps, go=str(go))
