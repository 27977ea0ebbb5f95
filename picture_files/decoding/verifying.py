"""`python -m picture_files.decoding.verifying LIMITS`: a file on standard input, what it says of its origin as JSON.

LIMITS as of `picture_files.decoding`, with `anchors`: a file of certificates whose signatures are trusted, or null.
"""

import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs.provenance import JOB_ASSERTION, MADE_BY_MODELS, source_type_of
from picture_files.decoding.bounding import bound, said_by
from picture_files.decoding.credentials import READING, kind_of, may_have
from picture_files.decoding.opening import opened
from picture_files.verification import MAX_NAMED, MAX_TEXT


def main(said: str) -> None:
    """Bound this process, then say what a file says."""
    limits = json.loads(said)
    bound(limits)
    out = sys.stdout.buffer
    if (answer := said_by(lambda: _verified(sys.stdin.buffer.read(), limits), out)) is not None:
        out.write(json.dumps(answer).encode() + b"\n")


def _verified(data: bytes, limits: Mapping[str, Any]) -> dict[str, Any]:
    image, kind = opened(data, max_pixels=limits["pixels"], memory=limits["memory"])
    source_type = source_type_of(image.info.get("xmp"))
    image.close()  # the library that reads credentials takes memory of its own
    store = _store(data, limits["anchors"]) if may_have(data) else None
    if store is not None and store["credentials"]["state"] != "invalid":
        source_type = store["source_type"] or source_type
    return {
        "format": kind,
        "marked": source_type in MADE_BY_MODELS,
        "source_type": source_type,
        "credentials": None if store is None else store["credentials"],
    }


def _store(data: bytes, anchors: str | None) -> dict[str, Any] | None:
    """The credentials of a file, and the source type that they say; None if it has none."""
    from c2pa import C2paError, Context, Reader

    trust = {} if anchors is None else {"trust": {"user_anchors": Path(anchors).read_text()}}
    try:
        with Reader(kind_of(data), io.BytesIO(data), context=Context.from_dict({**READING, **trust})) as reader:
            store, state = json.loads(reader.json()), reader.get_validation_state()
    except C2paError.ManifestNotFound:
        return None
    except C2paError:
        return {"source_type": None, "credentials": _credentials({}, "invalid", ["unreadable"])}
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    failed = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    problems = [_text(each.get("code")) or "" for each in failed[:MAX_NAMED]]
    return {
        "source_type": next(_source_types(manifest), None),
        "credentials": _credentials(manifest, str(state).lower(), problems),
    }


def _credentials(manifest: Mapping[str, Any], state: str, problems: list[str]) -> dict[str, Any]:
    signature, job = manifest.get("signature_info", {}), _assertion(manifest, JOB_ASSERTION)
    return {
        "state": state,
        "problems": problems,
        "signed_by": _text(signature.get("issuer")),
        "signed_at": signature.get("time"),
        "generator": _text(_mapping(next(iter(manifest.get("claim_generator_info", [])), {})).get("name")),
        "ingredients": [
            {
                "title": _text(each.get("title")),
                "relationship": _text(each.get("relationship")),
                "credentials": each.get("active_manifest") is not None,
            }
            for each in manifest.get("ingredients", [])[:MAX_NAMED]
        ],
        "job": _text(job.get("job")),
        "manifest_digest": _text(_mapping(job.get("manifest")).get("digest")),
    }


def _source_types(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Those of what was done to the picture, the last first: a model's part may have been added to what was there."""
    for each in manifest.get("assertions", []):
        if str(each.get("label")).startswith("c2pa.actions"):
            for action in reversed(_mapping(each.get("data")).get("actions", [])):
                if found := source_type_of(action.get("digitalSourceType")):
                    yield found


def _assertion(manifest: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    found = (each.get("data") for each in manifest.get("assertions", []) if each.get("label") == label)
    return _mapping(next(found, {}))


def _mapping(value: Any) -> Mapping[str, Any]:
    """What a stranger wrote, if it is an object."""
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) else None


if __name__ == "__main__":
    main(sys.argv[1])
