"""Where the processes of a cell run: in network namespaces joined by a bridge, or all on loopback.

In namespaces a cell's workers have one of their own, so that they can be cut off: the end of their cable on the bridge
is taken down, and every connection of theirs hangs, as when a switch fails. That needs root and iproute2.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Protocol

#: A network that hardly anybody uses; the third number is drawn.
_NETWORK = "10.213.{}.{}"


@dataclass(frozen=True)
class Place:
    """Where processes run.

    Attributes:
        host: where they are reached.
        before: what a command begins with that is to run there.
        cable: the interface on the bridge; "" on loopback.
    """

    host: str
    before: Sequence[str] = ()
    cable: str = ""

    def command(self, command: Sequence[str]) -> list[str]:
        """A command, to run here."""
        return [*self.before, *command]


class Places(Protocol):
    """Gives out places."""

    @property
    def host(self) -> str:
        """Where this program itself is reached."""

    def place(self) -> Place:
        """One more, which the others reach."""

    def cut(self, place: Place) -> None:
        """From here on nothing reaches a place, and it reaches nothing."""

    def mend(self, place: Place) -> None:
        """As before."""


class OnLoopback:
    """`Places` without any network: what is cut off is said to the caller, who stops its processes instead."""

    host = "127.0.0.1"

    def place(self) -> Place:
        return Place(self.host)

    def cut(self, place: Place) -> None:
        """Nothing: there is no cable."""

    def mend(self, place: Place) -> None:
        """Nothing."""


@dataclass
class InNamespaces:
    """`Places` in network namespaces of their own, on one bridge."""

    network: int
    tag: str = field(default_factory=lambda: f"p2p{token_hex(2)}")
    _last: int = 1

    @property
    def host(self) -> str:
        return _NETWORK.format(self.network, 1)

    def place(self) -> Place:
        self._last += 1
        name, cable, host = (
            f"{self.tag}-{self._last}",
            f"{self.tag}v{self._last}",
            _NETWORK.format(self.network, self._last),
        )
        ip("netns", "add", name)
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", cable, "master", self.tag, "up")
        ip("-n", name, "address", "add", f"{host}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        return Place(host, ("ip", "netns", "exec", name), cable)

    def cut(self, place: Place) -> None:
        ip("link", "set", place.cable, "down")

    def mend(self, place: Place) -> None:
        ip("link", "set", place.cable, "up")

    def remove(self) -> None:
        """All of it is gone; the cables go with their namespaces."""
        for number in range(2, self._last + 1):
            ip("netns", "delete", f"{self.tag}-{number}")
        ip("link", "delete", self.tag)


@contextmanager
def in_namespaces() -> Iterator[InNamespaces]:
    """Namespaces for as long as the block runs; raises `subprocess.CalledProcessError` where they may not be made."""
    places = InNamespaces(network=os.getpid() % 250)
    with ExitStack() as made:
        ip("link", "add", places.tag, "type", "bridge")
        made.callback(places.remove)
        ip("address", "add", f"{places.host}/24", "dev", places.tag)
        ip("link", "set", places.tag, "up")
        yield places


def may_make_namespaces() -> str:
    """Why this machine or this user cannot have namespaces; "" where they can."""
    if shutil.which("ip") is None:
        return "there is no `ip`: apt install iproute2"
    try:
        with in_namespaces() as places:
            places.place()
    except subprocess.CalledProcessError as error:
        return f"network namespaces need root: {error.stderr.strip()}"
    return ""


def ip(*arguments: str) -> None:
    """iproute2's program; raises `subprocess.CalledProcessError`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
