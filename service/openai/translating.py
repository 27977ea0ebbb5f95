"""A request of theirs as an ordinary edit, and what is wrong with that edit as mistakes of the request."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from p2p.spec import MAX_SEED
from service.edits.requests import EditRequest
from service.http.body_models import MANY_VALUES, BodyModel
from service.http.their_words import in_their_words
from service.openai.bodies import GenerationRequest, ImageReference, PictureEditRequest, PictureRequest

#: Where a field of the edit comes from: its pointer, or how that begins, and the field of theirs. The first one holds;
#: what is left of the pointer stands behind the field.
Fields = Sequence[tuple[str, str]]

_OF_BOTH: Fields = (
    ("/sampling/height", "/size"),
    ("/sampling/width", "/size"),
    ("/sampling/seeds", "/n"),
    ("/sampling", ""),
    ("/artifacts/format", "/output_format"),
    ("/artifacts/previews", "/partial_images"),
    ("/subject", "/user"),
)
OF_GENERATION: Fields = (("/source/prompt", "/prompt"), *_OF_BOTH)
OF_EDIT: Fields = (
    ("/source/prompt", "/source_prompt"),
    ("/source/image", "/image"),
    ("/targets/0/local_blend/mask", "/mask"),
    ("/targets/0/cross_window", "/strength"),
    ("/targets/0/self_window", "/strength"),
    ("/targets/0", ""),
    *_OF_BOTH,
)

#: Fields of theirs that are a file, in a form: what is in them has no name.
_FILES = frozenset({"/image", "/mask"})


def of_generation(body: GenerationRequest) -> EditRequest:
    """Pictures without edits; of several, each has a seed of its own.

    Raises:
        InvalidEdit: with mistakes of `body`.
    """
    with in_their_words(partial(theirs, OF_GENERATION)):
        return _edit({**_shared(body, body.n), "source": {"prompt": body.prompt}, "targets": []})


def of_edit(body: PictureEditRequest) -> EditRequest:
    """The edit of one picture; raises `InvalidEdit` with mistakes of `body`."""
    target: dict[str, Any] = {"prompt": body.prompt}
    if body.edits is not None:
        target["edits"] = [edit.model_dump(exclude_unset=True) for edit in body.edits]
    if body.weights:
        target["weights"] = [weight.model_dump(exclude_unset=True) for weight in body.weights]
    if body.strength is not None:
        target |= {name: {"stop": 1 - body.strength} for name in ("cross_window", "self_window")}
    if body.local_blend is not None:
        target["local_blend"] = body.local_blend.model_dump(exclude_unset=True)
    if body.mask is not None:
        target["local_blend"] = {**target.get("local_blend", {}), "mask": _named(body.mask, read_by="transparency")}
    source = {"prompt": body.source_prompt, "image": _named(body.images[0])}
    with in_their_words(partial(theirs, OF_EDIT)):
        return _edit({**_shared(body, 1, sizes=False), "source": source, "targets": [target]})


def theirs(fields: Fields, pointer: str) -> str:
    """The pointer to their field that a part of an edit comes from, by the pointer to that part."""
    for ours, field in fields:
        if pointer == ours or pointer.startswith(f"{ours}/"):
            return field if field in _FILES else field + pointer[len(ours) :]
    return pointer


def _shared(body: PictureRequest, n: int, *, sizes: bool = True) -> dict[str, Any]:
    """The fields of an edit that both have, for `n` pictures."""
    sampling: dict[str, Any] = {
        "steps": body.steps,
        "guidance_scale": body.guidance_scale,
        "negative_prompt": body.negative_prompt,
    }
    if n > 1:
        sampling["seeds"] = [-1 if body.seed is None else (body.seed + number) % (MAX_SEED + 1) for number in range(n)]
    else:
        sampling["seed"] = body.seed
    if sizes and body.size != "auto":
        sampling["width"], sampling["height"] = map(int, body.size.split("x"))
    return {
        "model": body.model,
        "sampling": sampling,
        "artifacts": {
            "format": body.output_format,
            # Nobody asks for them here; who wants them sends the edit to `POST /v1/edits`.
            "heatmaps": False,
            "raw_maps": False,
            "previews": body.partial_images if body.stream else 0,
        },
        "subject": body.safety_identifier or body.user,
        "metadata": None if body.metadata is None else dict(body.metadata),
    }


def _named(image: ImageReference, **more: str) -> Mapping[str, Any]:
    return {"upload": image.file_id, "url": image.image_url, **more}


@cache
def _model() -> BodyModel:
    return BodyModel(EditRequest)


def _edit(said: Mapping[str, Any]) -> EditRequest:
    read = _model().read(dict(said), MANY_VALUES)
    assert isinstance(read, EditRequest)
    return read
