"""How long an edit is kept: as long as the installation keeps each, unless its request says otherwise."""

from datetime import timedelta

from p2p.spec import EditSpec
from service.http.complaints import Complaint
from service.http.errors import InvalidEdit
from service.plane import Plane


def refuse_unkept(spec: EditSpec, *, store: bool) -> None:
    """Raises `InvalidEdit` where the source's run is to be kept of an edit of which nothing is."""
    if not store and spec.artifacts.trajectory:
        detail = 'later edits would reuse it, and "store": false keeps nothing for them: leave one of the two out'
        raise InvalidEdit([Complaint.at("artifacts", "trajectory", code="trajectory_unstored", detail=detail)])


def lifetime_of(keep_for: timedelta | None, plane: Plane, *, store: bool) -> timedelta:
    """How long an edit is kept after its end; raises `InvalidEdit` where that is more than may be asked for.

    Args:
        keep_for: what its request asks for.
        store: whether it may be kept for later at all.
    """
    if not store and not plane.signs_everywhere:
        detail = "this service cannot hand out an artifact once: ARTIFACT_SECRET is not set"
        raise InvalidEdit([Complaint.at("store", code="unstored_not_offered", detail=detail)])
    if keep_for is not None and keep_for > plane.longest_lifetime:
        detail = f"this service keeps an edit {plane.longest_lifetime.total_seconds():.0f} s at most: ask for less"
        raise InvalidEdit([Complaint.at("keep_for", code="kept_too_long", detail=detail)])
    asked = plane.job_lifetime if keep_for is None else keep_for
    return asked if store else min(asked, plane.unstored_lifetime)
