"""Where a process can be made to kill itself: wires across functions of the program that runs in it.

A wire lies in wait until its point is armed, by a file of the point's name. The first process that comes by takes the
file away and ends by SIGKILL: no handler, no destructor, no flush. The program under test knows nothing of it.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.recovery.journal import Journal

#: Which job a call is about, from its arguments; None if it is about none or the wire is not for it.
AboutJob = Callable[..., str | None]
#: An upload of the stand-in's pictures takes a few milliseconds: the kill falls at any time of it.
UPLOAD = 0.002


class Wires:
    """The wires of one process.

    Attributes:
        in_hand: the job that the process works on, as far as it is `around` anything.
    """

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder, self._journal = folder, journal
        self.in_hand: str | None = None

    def arm(self, point: str) -> None:
        """The next process that comes by this point dies."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / point).touch()

    def trip(self, point: str, job: str | None, *, within: float = 0.0) -> None:
        """Die here, or at a random time within so many seconds, where the point is armed.

        No job is met twice at one point: after its third attempt it would rightly fail.
        """
        if job and (self._folder / f"met.{point}.{job}").exists():
            return
        with suppress(FileNotFoundError):
            (self._folder / point).rename(self._folder / f"{point}.{os.getpid()}")
            (self._folder / f"met.{point}.{job}").touch()
            if within:
                threading.Thread(target=self._die, args=(point, job, random.uniform(0, within)), daemon=True).start()
            else:
                self._die(point, job, 0)

    def _die(self, point: str, job: str | None, seconds: float) -> None:
        time.sleep(seconds)
        self._journal.write("kill", point=point, job=job)
        os.kill(os.getpid(), signal.SIGKILL)

    def across(self, owner: Any, name: str, point: str, about: AboutJob, *, within: float = 0.0) -> None:
        """Lay a wire at the beginning of a function or method."""
        original = getattr(owner, name)

        @wraps(original)
        def wired(*arguments: Any, **named: Any) -> Any:
            job = about(*arguments, **named)
            if job is not None:
                self.trip(point, job, within=within)
            return original(*arguments, **named)

        setattr(owner, name, wired)

    def around(self, owner: Any, name: str, about: AboutJob) -> None:
        """Note which job a process has in hand while a function or method runs."""
        original = getattr(owner, name)

        @wraps(original)
        def noted(*arguments: Any, **named: Any) -> Any:
            job = about(*arguments, **named)
            self.in_hand = job
            self._journal.write("taken", job=job)
            try:
                return original(*arguments, **named)
            finally:
                self.in_hand = None
                self._journal.write("left", job=job)

        setattr(owner, name, noted)

    def around_awaiting(self, owner: Any, name: str, about: AboutJob) -> None:
        """`around` of what is awaited; with several in hand at once, the last that was begun counts."""
        original = getattr(owner, name)

        @wraps(original)
        async def noted(*arguments: Any, **named: Any) -> Any:
            job = about(*arguments, **named)
            self._journal.write("taken", job=job)
            try:
                return await original(*arguments, **named)
            finally:
                self._journal.write("left", job=job)

        setattr(owner, name, noted)

    def note(self, what: str, *, job: str | None = None, **about: object) -> None:
        """Write down what happens to a job, if it is not given to the one in hand."""
        self._journal.write(what, job=job or self.in_hand, **about)

    def noting(self, owner: Any, name: str, what: str, *, only_if: Callable[[Any], bool] = lambda answer: True) -> None:
        """Note each call of a function or method, once it has answered in a certain way."""
        original = getattr(owner, name)

        @wraps(original)
        def noted(*arguments: Any, **named: Any) -> Any:
            answer = original(*arguments, **named)
            if only_if(answer):
                self._journal.write(what)
            return answer

        setattr(owner, name, noted)
