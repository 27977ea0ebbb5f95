"""uvicorn's flow control, with two more reasons not to read from a connection."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from uvicorn.protocols.http.flow_control import FlowControl


class Hold(Enum):
    """Why nothing is read, beside uvicorn's own reason: the application has not taken what came."""

    SHARE = auto()  # what came takes long to parse, and other connections have their turn
    ANSWER = auto()  # the client has not read its answer


class Flow(FlowControl):
    """Whether a connection is read from and written to.

    Args:
        resumed: called when the application wants more of a body than has come.
    """

    def __init__(self, transport: asyncio.Transport, resumed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._resumed = resumed
        self.holds: set[Hold] = set()

    def forget(self) -> None:
        """The connection is over: refer to it no more."""
        self._resumed = lambda: None

    def hold(self, why: Hold) -> None:
        """Do not read until `release`."""
        self.holds.add(why)
        self._transport.pause_reading()

    def release(self, why: Hold) -> None:
        """One reason less."""
        if why in self.holds:
            self.holds.remove(why)
            self.read_again()

    def open(self) -> None:
        """Read, whatever reasons there were."""
        self.holds.clear()
        self.read_paused = False
        self.read_again()

    def resume_reading(self) -> None:
        """The application wants more."""
        if self.read_paused:
            self.read_paused = False
            self.read_again()
            self._resumed()

    def read_again(self) -> None:
        """Read where no reason is left not to."""
        if not self.holds and not self.read_paused:
            self._transport.resume_reading()
