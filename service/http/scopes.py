"""What a token (JWT) must allow for each address: the scopes of its claim (RFC 6750, 3; RFC 8693, 4.2).

Keys have no scopes: each may do everything with what is its own.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from service.http.errors import InsufficientScope

READ, WRITE, IMAGES = "edits:read", "edits:write", "images"
#: What each of them allows, as OpenAPI describes it.
ABOUT: Mapping[str, str] = {
    READ: "see edits, batches and inversions, and set prompts against each other",
    WRITE: "post, cancel and erase them, and have webhooks sent again",
    IMAGES: "send, see, verify and erase pictures",
}
_SAFE = frozenset({"GET", "HEAD"})


class Needed(NamedTuple):
    """What an address needs: to look at it, and to change something."""

    looking: Sequence[str]
    changing: Sequence[str]


#: By how a path begins; the longest counts. `tests/contract/test_scopes.py` names an address that has no row.
SCOPES: Mapping[str, Needed] = {
    "/v1/edits": Needed((READ,), (WRITE,)),
    "/v1/batches": Needed((READ,), (WRITE,)),
    "/v1/inversions": Needed((READ,), (WRITE,)),
    # It runs nothing and keeps nothing.
    "/v1/alignments": Needed((READ,), (READ,)),
    "/v1/images": Needed((IMAGES,), (IMAGES,)),
    # As other services call what is an edit here.
    "/v1/images/edits": Needed((READ,), (WRITE,)),
    "/v1/images/generations": Needed((READ,), (WRITE,)),
    "/v1/verifications": Needed((IMAGES,), (IMAGES,)),
    # Each tool needs its own (`service.mcp.tools`).
    "/mcp": Needed((), ()),
    # Erases both.
    "/v1/subjects": Needed((READ, IMAGES), (WRITE, IMAGES)),
}


@lru_cache(maxsize=256)
def needed(method: str, path: str) -> Sequence[str]:
    """The scopes for an address by its template; raises `LookupError` where no row has it, so that nobody is let in."""
    places = [place for place in SCOPES if path == place or path.startswith(f"{place}/")]
    if not places:
        raise LookupError(f"{path} needs a key and no scope is known for it: give it a row of SCOPES")
    row = SCOPES[max(places, key=len)]
    return row.looking if method in _SAFE else row.changing


def refuse_beyond(scopes: Collection[str] | None, wanted: Sequence[str]) -> None:
    """Raises `InsufficientScope` where somebody's scopes lack one of those that are wanted; None is everything."""
    if scopes is not None and not set(wanted) <= set(scopes):
        raise InsufficientScope(wanted)
