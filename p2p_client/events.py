"""An edit's events as they come, over as many connections as it takes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from p2p_client.asking import Api, ask
from p2p_client.effects import NextChunk, Operation, Pause, Tell
from p2p_client.operations import at, get
from p2p_client.results import Edit, Event

#: Seconds: the service sends a comment every 15, so that a stream which says nothing for longer is dead.
_SILENCE = 45.0


def events(api: Api, edit: Edit | str, *, after: str = "") -> Operation[None]:
    """Tells what happens to an edit, from its first event to its end.

    Where the connection is lost, it goes on after the last event that came (`Last-Event-ID`): none is missed, none
    comes twice.

    Args:
        after: the id of an event: only what came later is sent.
    Raises:
        NotFound: there is no such edit, or it was erased meanwhile.
        Unreachable: the service did not come back.
    """
    last, in_vain = after, 0
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        yield from ask(api, "GET", at("edits", edit, "/events"), headers=headers, streamed=True, read_timeout=_SILENCE)
        stream, came = Stream(), False
        try:
            while chunk := (yield NextChunk()):
                for event in stream.read(chunk):
                    last, came = event.id, True
                    yield Tell(event)
                    if event.is_end:
                        return
        except httpx.TransportError:
            pass  # it goes on where it broke off
        if not came and (yield from get(api, edit)).has_ended:
            return  # `after` was its end
        in_vain = 0 if came else in_vain + 1
        yield Pause(api.backoff(in_vain))


@dataclass
class Stream:
    """Reads server-sent events from bytes as they arrive (WHATWG HTML, 9.2.6)."""

    _rest: bytes = b""
    _fields: dict[str, str] = field(default_factory=dict)

    def read(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete; what follows the last line's end is kept for the next ones."""
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line:
                name, _, value = line.decode("utf-8", "replace").partition(":")
                value = value.removeprefix(" ")
                # Several lines of data are one text; a line without a name is a comment.
                several = name == "data" and name in self._fields
                self._fields[name] = f"{self._fields[name]}\n{value}" if several else value
                continue
            said, self._fields = self._fields, {}
            if "data" in said:
                yield Event(**{**json.loads(said["data"]), "id": said.get("id", ""), "name": said.get("event", "")})
