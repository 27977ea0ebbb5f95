"""What a client would rather have (RFC 7240): `Prefer: wait=n`, `Prefer: respond-async`."""

import re

from service.following import LONGEST_WAIT

_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?")


def seconds_to_wait(prefer: str) -> tuple[float, str | None]:
    """How long an answer may be held back, and what to say of it in `Preference-Applied`; None for nothing.

    `respond-async` goes before `wait`, as it does where the answer would take longer than that anyway.
    """
    wished = [each.strip().lower() for each in re.split(r"[,;]", prefer)]
    if "respond-async" in wished:
        return 0.0, "respond-async"
    for each in wished:
        if found := _WAIT.fullmatch(each):
            seconds = min(float(found[1]), LONGEST_WAIT)
            return seconds, f"wait={seconds:.0f}"
    return 0.0, None
