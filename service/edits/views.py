"""Renders an edit's JSON directly from its Redis record: the fast path of the most frequent request.

`service.edits.answers.EditView` says what such an answer is. Making a `Job` of the record and an `EditView` of the job
takes ten times as long. `tests/unit/service/test_views.py` holds both equal, for any record.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import to_json

from jobs.model import Job
from jobs.redis.store import Place
from service.edits.answers import ArtifactView, EditAccepted, EditView, seeds_of

_NAMES, _ARTIFACT_NAMES = tuple(EditView.model_fields), tuple(ArtifactView.model_fields)
_ACCEPTED_NAMES = tuple(EditAccepted.model_fields)


def shown(
    record: Mapping[str, Any], url: Callable[[str], str], place: Place | None = None, *, prefix: str = ""
) -> bytes:
    """The JSON of an edit.

    Args:
        record: as plain data (`jobs.redis.record.plain`).
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
        "links": _links(record["id"], prefix),
        "queue": _queue(place),
        "artifacts": [_artifact(artifact, url) for artifact in record["artifacts"]],
    }
    return to_json({name: says[name] for name in _NAMES})


def shown_accepted(job: Job, *, prefix: str = "") -> bytes:
    """The JSON of an edit that was just accepted: `service.edits.answers.EditAccepted`."""
    says = {"links": _links(job.id, prefix), **seeds_of(job.spec.sampling)}
    return to_json({name: says[name] if name in says else getattr(job, name) for name in _ACCEPTED_NAMES})


def _links(edit_id: str, prefix: str) -> Mapping[str, str]:
    address = f"{prefix}/v1/edits/{edit_id}"
    return {"self": address, "cancel": f"{address}/cancel", "events": f"{address}/events"}


def _queue(place: Place | None) -> Mapping[str, Any] | None:
    return None if place is None or place.ahead is None else {"ahead": place.ahead, "starts_in": place.seconds}


def _artifact(artifact: Mapping[str, Any], url: Callable[[str], str]) -> Mapping[str, Any]:
    says = {**artifact, "url": url(artifact["key"])}
    return {name: says.get(name) for name in _ARTIFACT_NAMES}
