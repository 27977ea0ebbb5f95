"""URLs of settings as they may be shown: without what may be a secret in them."""

import re

_SECRETS = re.compile(r"(?i)((?:password|secret|token|key)=)[^&#]*")


def masked(url: str) -> str:
    """A URL without user, password and the values of options that hold secrets.

    Everything up to the last @ is left out: where a password is not percent-encoded, nobody knows where it ends.
    """
    scheme, separator, rest = url.partition("://")
    rest = rest if separator else scheme
    _, at, after = rest.rpartition("@")
    shown = f"{scheme + separator if separator else ''}{'***@' if at else ''}{after}"
    return _SECRETS.sub(r"\1***", shown)


def masked_name(option: str) -> str:
    """An option's name; one that does not look like a name may be the end of a password."""
    return option if re.fullmatch(r"[A-Za-z_-]{1,40}", option) else "after the ?"
