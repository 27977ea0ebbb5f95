"""A worker that stands still in the middle of a job: a job need not be long for something to happen within it."""

from pathlib import Path

_PROGRAM = """
import os, time
from p2p.cohort.member import Member
from worker import publishing
publishing.LOOK_INTERVAL = 0
took, finished_one = Member.took, Member.finished_one
def taken(self, answer):
    while self.num_steps in {steps} and self.index >= 2 and not os.path.exists({go!r}):
        time.sleep(0.01)
    return took(self, answer)
Member.took = taken
"""
_FINISHING = """
def finished(self):
    while self.num_steps in {steps} and self.finished == 1 and not os.path.exists({go!r} + str(self.num_steps)):
        time.sleep(0.01)
    return finished_one(self)
Member.finished_one = finished
"""


def held(go: Path, *steps: int) -> str:
    """A program that is run before the worker's own: jobs of so many steps stand still at the third until a file is
    there.

    Their leases are renewed meanwhile, as they are within any long step. Then the worker looks at the jobs' records
    with each step: few short steps may follow, and what happened meanwhile is to be seen before the last one.
    """
    return _PROGRAM.format(steps=steps, go=str(go))


def held_while_finishing(go: Path, *steps: int) -> str:
    """The same of the second step in which their pictures are made larger; `go` is named with the number of steps."""
    return _PROGRAM.format(steps=(), go="") + _FINISHING.format(steps=steps, go=str(go))
