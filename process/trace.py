"""W3C Trace Context (https://www.w3.org/TR/trace-context/): one trace from the request over the worker to the webhook.

A request brings a `traceparent`, or is given one; the job keeps it, every line that is logged about the job carries its
trace id, and what is sent on carries a span id of its own below it: `Trace.parse(job.traceparent).child().header`.
"""

import re
from dataclasses import dataclass, replace
from secrets import token_hex

#: Version, trace id, parent id, flags; a version after 00 may say more behind a further dash (section 3.2.2 and 4.2).
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True)
class Trace:
    """Where in a trace something happens.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits: the parent of whatever comes next.
        flags: 2 hexadecimal digits.
    """

    trace_id: str
    span_id: str
    flags: str

    @classmethod
    def parse(cls, header: str | None) -> "Trace | None":
        """The trace that a `traceparent` header names; None if it is no valid one, which is to be ignored."""
        match = _TRACEPARENT.fullmatch(header or "")
        if match is None:
            return None
        version, trace_id, span_id, flags, more = match.groups()
        if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
            return None
        return cls(trace_id, span_id, flags)

    @classmethod
    def new(cls) -> "Trace":
        """The beginning of a trace: its ids cannot be guessed.

        It says that it is sampled: what is logged under it is a record of it, and receivers that follow the flag do
        not drop their own part.
        """
        drawn = token_hex(24)  # at once: each draw asks the system
        return cls(drawn[:32], drawn[32:], "01")

    def child(self) -> "Trace":
        """The same trace with a span of its own."""
        return replace(self, span_id=token_hex(8))

    @property
    def header(self) -> str:
        """As a `traceparent` header, of the version that is written here."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"
