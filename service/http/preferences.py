"""What a client would rather have (RFC 7240): `Prefer: wait=n`, `Prefer: respond-async`."""

import re

from service.edits.following import LONGEST_WAIT

#: Characters of the header that are read; a preference has about ten.
_MOST = 1_000
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?")


def seconds_to_wait(prefer: str) -> tuple[float, str | None]:
    """How long an answer may be held back, and what to say of it in `Preference-Applied`; None for nothing.

    Both together mean: answer within that time if it is done by then, with 202 if not (section 4.3). An edit is always
    answered like that, so `respond-async` alone is honoured by not waiting.
    """
    if not prefer or len(prefer) > _MOST:
        return 0.0, None  # preferences may be ignored (section 2)
    wished = [each.strip().lower() for each in re.split(r"[,;]", prefer)]
    applied = ["respond-async"] if "respond-async" in wished else []
    seconds = 0.0
    # Of a preference that is named twice, the first holds (section 2).
    if found := next(filter(None, map(_WAIT.fullmatch, wished)), None):
        seconds = min(float(found[1]), LONGEST_WAIT)
        applied.append(f"wait={seconds:.0f}")
    return seconds, ", ".join(applied) or None


def without_wait(applied: str | None) -> str | None:
    """What to say in `Preference-Applied` where the answer was not held back after all; None for nothing."""
    kept = [each for each in (applied or "").split(", ") if each and not each.startswith("wait=")]
    return ", ".join(kept) or None
