"""An edit as clients are shown it: from its record as plain data (`jobs.redis.record.plain`).

`service.edits.answers.EditView` says what such an answer is, and is what openapi.yaml describes. Most requests ask for
this answer: to make a `Job` of a record and an `EditView` of the job would take ten times as long.
`tests/unit/service/test_views.py` holds both equal, for any record.
"""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from fastapi import Response
from pydantic_core import to_json

from jobs.model import Job, JobStatus
from jobs.redis.store import Place
from service.edits.answers import ArtifactView, EditAccepted, EditView, labels_shown, links_of, seeds_of
from service.edits.following import entity_tag, is_known
from service.plane import Plane

_NAMES, _ARTIFACT_NAMES = tuple(EditView.model_fields), tuple(ArtifactView.model_fields)
_ACCEPTED_NAMES = tuple(EditAccepted.model_fields)
_in_order = itemgetter(*_NAMES)

Record = Mapping[str, Any]


async def answered(record: Record, plane: Plane, if_none_match: str) -> Response:
    """How an edit stands, under its tag."""
    place = await _place(record, plane) if record["status"] == JobStatus.QUEUED else None
    return conditional(tag_of(record, plane, place), if_none_match, lambda: view(record, plane, place))


async def end_of(record: Record, plane: Plane) -> tuple[str, bytes]:
    """The tag and the body of an answer about an edit that has ended, for several clients."""
    return tag_of(record, plane), view(record, plane)


async def whole(
    record: Record, plane: Plane, *, status_code: int, headers: Mapping[str, str] | None = None
) -> Response:
    """An edit that was just asked for or canceled."""
    place = await _place(record, plane) if record["status"] == JobStatus.QUEUED else None
    return Response(view(record, plane, place), status_code=status_code, media_type="application/json", headers=headers)


def conditional(tag: str, if_none_match: str, body: Callable[[], bytes]) -> Response:
    """An answer under its tag, or 304 where the client has it (RFC 9110, 15.4.5)."""
    if is_known(tag, if_none_match):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body(), media_type="application/json", headers={"ETag": tag})


def tag_of(record: Record, plane: Plane, place: Place | None = None) -> str:
    """The tag of an answer about an edit."""
    urls_last = plane.url_lifetime if record["artifacts"] else None
    return entity_tag(record["id"], record["revision"], place=place, urls_last=urls_last)


def view(record: Record, plane: Plane, place: Place | None = None) -> bytes:
    """The JSON of an edit, with this installation's links and URLs."""
    # Of what is not stored each artifact is handed out once.
    url = plane.url if record["store"] else plane.url_once
    return shown(record, url, place, prefix=plane.prefix)


async def _place(record: Record, plane: Plane) -> Place:
    """Where an edit waits."""
    return await plane.store.place(record["id"], record["model"], record["message"])


def shown(record: Record, url: Callable[[str], str], place: Place | None = None, *, prefix: str = "") -> bytes:
    """The JSON of an edit.

    Args:
        url: gives an artifact's address for its key.
        place: where it waits, if it does.
        prefix: stands before the path of each link.
    """
    sampling = record["spec"]["sampling"]
    seeds = sampling.get("seeds")
    says = {
        **record,
        "seed": sampling["seed"] if seeds is None else None,
        "seeds": seeds,
        "links": links_of(record["id"], prefix),
        "queue": _queue(place),
        **labels_shown(record["labels"]),
        "artifacts": [_artifact(artifact, url) for artifact in record["artifacts"]],
    }
    return to_json(dict(zip(_NAMES, _in_order(says), strict=True)))


def shown_accepted(job: Job, *, prefix: str = "") -> bytes:
    """The JSON of an edit that was just accepted, as `EditAccepted` says it."""
    labels = labels_shown(job.labels)
    says = {**vars(job), **seeds_of(job.spec.sampling), "links": links_of(job.id, prefix), **labels}
    return to_json({name: says[name] for name in _ACCEPTED_NAMES})


def _queue(place: Place | None) -> Mapping[str, Any] | None:
    return None if place is None or place.ahead is None else {"ahead": place.ahead, "starts_in": place.seconds}


def _artifact(artifact: Mapping[str, Any], url: Callable[[str], str]) -> Mapping[str, Any]:
    says = {**artifact, "url": url(artifact["key"])}
    return {name: says.get(name) for name in _ARTIFACT_NAMES}
