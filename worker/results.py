"""What a run leaves behind, as files: pictures, heat maps, raw maps, manifest."""

import io
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

import numpy as np
from PIL import Image, ImageChops

from jobs.catalogue import ModelDeclaration
from jobs.model import Job
from p2p.edit import EditResult, WordMap
from p2p.trajectory_file import dumped
from worker.edited import Edited
from worker.encoding import ENCODINGS, encoded
from worker.events import ArtifactReady
from worker.fitting import Fitting, fitting_of
from worker.heatmaps import MAX_SIDE, heatmap
from worker.manifest import manifest
from worker.marking import UNSIGNED, Marking, source_type_of_job
from worker.photo import InvertedPhoto
from worker.usage import Stretch


def artifacts_of(
    results: Sequence[EditResult],
    edited: Edited,
    declaration: ModelDeclaration,
    *,
    revision: str,
    turns: Sequence[Stretch] = (),
    marking: Marking = UNSIGNED,
) -> Iterator[ArtifactReady]:
    """Every artifact that a job asked for, the manifest last; where it asked for several seeds, a folder for each.

    Args:
        results: of each of its seeds.
        turns: that its runs took part in.
        edited: what was edited. Pictures and masks of a photo come back in its size, heat maps in its shape.
        marking: what pictures are marked with as a machine's.
    Raises:
        NotMarked: a picture could not be marked.
    """
    job, photo, bounds = edited.job, edited.photo, edited.masks.bounds
    # All of them at once, so that their time is one figure of the manifest and holds no storing.
    began = time.perf_counter()
    encode = partial(encoded, encoding=ENCODINGS[job.spec.artifacts.format], source_type=source_type_of_job(job))
    mark = marking.watermarks.marked
    limits = (None, *bounds) if bounds else (None,) * len(results[0].images)
    pictures = [
        [
            _picture(mark(job, _back(drawn, photo, limit, shown), index, each.seed), encode)
            for index, (drawn, limit, shown) in enumerate(
                zip_longest(each.images, limits, (None, *map(_shown, each.masks)))
            )
        ]
        for each in results
    ]
    encoding = time.perf_counter() - began
    drawn_size = results[0].images[0].size
    fitting = fitting_of(drawn_size, drawn_size) if photo is None else photo.photo.fitting
    made = manifest(results, edited, declaration, revision=revision, encoding=encoding, turns=turns)
    text = json.dumps(made, indent=2, ensure_ascii=False).encode()
    # After the manifest, whose digest stands in the credentials; a signature changes no pixel.
    sign = marking.signing_of(job, text, None if photo is None else photo.photo.credentials)
    for result, written in zip(results, pictures, strict=True):
        folder = "" if job.spec.sampling.seeds is None else f"seed-{result.seed}/"
        for file in _files(result, written, fitting, limits, job):
            data = sign(file.name, file.content_type, file.data) if file.kind == "image" else file.data
            yield replace(file, name=f"{folder}{file.name}", seed=result.seed, data=data)
    yield ArtifactReady(name="manifest.json", kind="manifest", content_type="application/json", data=text)


@dataclass(frozen=True, eq=False)
class _Picture:
    """A picture as it comes back.

    Attributes:
        file: written.
        shown: as heat maps are drawn over it.
    """

    file: bytes
    shown: Image.Image


def _picture(whole: Image.Image, encode: Callable[[Image.Image], bytes]) -> _Picture:
    shown = whole
    if max(whole.size) > MAX_SIDE:
        shown = whole.copy()
        shown.thumbnail((MAX_SIDE, MAX_SIDE))
    return _Picture(encode(whole), shown)


def _back(
    drawn: Image.Image, photo: InvertedPhoto | None, limit: Image.Image | None, shown: Image.Image | None
) -> Image.Image:
    """A picture as it comes back; one that was generated is so bounded already (`p2p.masks`, `p2p.paste`).

    What was pasted into a photo's reconstruction is pasted into the photo: an autoencoder's loss does not come back.
    """
    return drawn if photo is None else photo.photo.back(drawn, limit, shown)


def _shown(mask: np.ndarray | None) -> Image.Image | None:
    """How much of an edit is shown, as grey; None if its mask is no more than where it could change."""
    return None if mask is None or mask.dtype == bool else Image.fromarray((255 * mask).round().astype(np.uint8))


def _files(
    result: EditResult,
    pictures: Sequence[_Picture],
    fitting: Fitting,
    limits: Sequence[Image.Image | None],
    job: Job,
) -> Iterator[ArtifactReady]:
    """What one seed's run leaves; its pictures are written already."""
    wanted = job.spec.artifacts
    encoding, source_type = ENCODINGS[wanted.format], source_type_of_job(job)
    for index, picture in enumerate(pictures):
        yield ArtifactReady(
            name=f"{picture_name(index)}{encoding.suffix}",
            kind="image",
            content_type=encoding.content_type,
            data=picture.file,
            picture=index,
        )
    for index, mask in enumerate(result.masks, start=1):
        if mask is not None:
            yield mask_artifact(index, mask, fitting, limits[index])
    if wanted.heatmaps:
        for index, (picture, maps) in enumerate(zip(pictures, result.maps, strict=True)):
            yield from _heatmaps(index, picture.shown, maps, fitting, source_type)
    if wanted.raw_maps:
        data = raw_maps(result.maps)
        yield ArtifactReady(name="maps.npz", kind="maps", content_type="application/octet-stream", data=data)
    if wanted.trajectory and result.trajectory is not None:
        yield ArtifactReady(
            name="trajectory.safetensors",
            kind="trajectory",
            content_type="application/octet-stream",
            data=dumped(result.trajectory),
            source=result.trajectory.key,
        )


def picture_name(index: int) -> str:
    """What a picture is called: "source", "edit-1", ..."""
    return f"edit-{index}" if index else "source"


def raw_maps(maps: tuple[tuple[WordMap, ...], ...]) -> bytes:
    """The maps of all pictures as one .npz, readable without pickle.

    Per picture "source", "edit-1", ...: (words, height, width) float32, and its words as strings under
    "source.words", "edit-1.words", ...
    """
    arrays: dict[str, np.ndarray] = {}
    for index, words in enumerate(maps):
        arrays[picture_name(index)] = np.stack([word.map for word in words]).astype(np.float32)
        arrays[f"{picture_name(index)}.words"] = np.array([word.word for word in words], dtype=np.str_)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def mask_artifact(index: int, mask: np.ndarray, fitting: Fitting, limit: Image.Image | None = None) -> ArtifactReady:
    """Where an edit was let differ from its source: white, in the picture's size; grey is a share of it.

    Args:
        mask: of `p2p.result.EditResult`.
        limit: white where it was at most.
    """
    shown = _shown(mask)
    soft = shown is not None
    image = fitting.mask_back(Image.fromarray(mask).convert("L") if shown is None else shown, soft=soft)
    image = image if limit is None else ImageChops.darker(image, limit)
    return ArtifactReady(
        name=f"masks/{picture_name(index)}.png",
        kind="mask",
        content_type="image/png",
        data=encoded(image, ENCODINGS["png"]),
        picture=index,
    )


def _heatmaps(
    index: int, image: Image.Image, maps: tuple[WordMap, ...], fitting: Fitting, source_type: str
) -> Iterator[ArtifactReady]:
    for position, word in enumerate(maps):
        yield ArtifactReady(
            name=f"heatmaps/{picture_name(index)}-{position:02d}-{_slug(word.word)}.png",
            kind="heatmap",
            content_type="image/png",
            # Whatever the pictures are: a map is read as a measurement, and compresses well.
            data=encoded(heatmap(fitting.map_back(word.map, image.size), image), ENCODINGS["png"], source_type),
            picture=index,
            word=word.word,
            occurrence=word.occurrence,
        )


def _slug(word: str) -> str:
    """A word as part of a file's name: the position in front keeps it unique."""
    return re.sub(r"[^a-z0-9]+", "-", word.casefold())[:40].strip("-") or "word"
