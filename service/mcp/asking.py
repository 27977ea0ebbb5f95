"""Who uses a tool, and what a tool works with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.api_keys import Caller
from service.plane import Plane

#: Tells a client how far a tool is: steps done, of how many, and a sentence.
Progress = Callable[[float, float | None, str | None], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """One use of a tool."""

    plane: Plane
    caller: Caller
    progress: Progress
