"""Automatic edits of drawn pictures as a worker gives them back: pasted into the photo, whatever its shape."""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from benchmarks.quality.changes import Change
from benchmarks.quality.sources import Source
from p2p.edit import EditResult, edit, edit_again_steps
from p2p.families.base import ModelFamily
from p2p.spec import EditSpec
from p2p.stepping import result_of
from scenes.render import SIZE
from worker.fitting import fitting_of

#: Columns by which a drawn picture is made wider on each side: its outermost one, again and again.
BESIDE = SIZE // 4
#: Kinds of changes of which a photo must show no border where its edited part ends.
LOCAL = ("thing", "tint", "remove")


def automatic_spec(source: Source, steps: int) -> EditSpec:
    """Two prompts and nothing else for each change of a source; a fader names the word that it moves."""
    return EditSpec.model_validate(
        {
            "source": {"prompt": source.scene.caption()},
            "targets": [_said(change) for change in source.changes],
            "sampling": {"steps": steps, "guidance_scale": source.guidance_scale, "seed": source.seed},
            "artifacts": {"heatmaps": False, "raw_maps": False},
        }
    )


def _said(change: Change) -> dict:
    """A change as a target that leaves out what can be chosen."""
    weights = [{"word": change.word, "weight": change.weight}] if change.word else []
    return {"prompt": change.after.caption(), "weights": weights}


def run(spec: EditSpec, source: Source, family: ModelFamily) -> EditResult:
    """A spec on a source: generated anew with its edits, or kept as its inversion left it."""
    if source.trajectory is None:
        return edit(spec, family, noise=source.noise)
    return result_of(edit_again_steps(spec, family, source.trajectory))


def returned(result: EditResult, photo: np.ndarray) -> Iterator[np.ndarray]:
    """The edited pictures of a result as they come back for a photo, of whose middle the result is."""
    whole = Image.fromarray(photo)
    fitting = fitting_of(whole.size, (SIZE, SIZE))
    for image, mask in zip(result.images[1:], result.masks, strict=True):
        by_words = mask is not None and mask.dtype != bool
        shown = Image.fromarray(np.rint(255 * mask).astype(np.uint8)) if by_words and mask is not None else None
        yield np.asarray(fitting.back(image, whole, shown))


def seams(sources: Sequence[Source], family: ModelFamily, steps: int) -> dict[str, float | None]:
    """Per kind of change, the mean extra step across the borders of what was edited, in grey levels of 0 to 255.

    Args:
        sources: of which those are taken that were drawn.
    """
    found: dict[str, list[float]] = {kind: [] for kind in (*LOCAL, "place")}
    for source in sources:
        if source.layout is None:
            continue
        photo = wider(source.image)
        edited = returned(run(automatic_spec(source, steps), source, family), photo)
        for change, image in zip(source.changes, edited, strict=True):
            if change.kind in found:
                found[change.kind].append(extra_step(image, photo))
    return {kind: round(float(np.mean(extra)), 2) if extra else None for kind, extra in found.items()}


def wider(image: np.ndarray) -> np.ndarray:
    """A picture with more to see on both sides than the model is given."""
    return np.pad(image, ((0, 0), (BESIDE, BESIDE), (0, 0)), mode="edge")


def extra_step(edited: np.ndarray, photo: np.ndarray) -> float:
    """How much farther apart the columns are on both sides of the edited part's borders than in the photo."""

    def step(picture: np.ndarray, column: int) -> float:
        both = picture[:, column - 1 : column + 1].astype(float)
        return float(np.abs(both[:, 1] - both[:, 0]).mean())

    borders = BESIDE, photo.shape[1] - BESIDE
    return float(np.mean([step(edited, column) - step(photo, column) for column in borders]))
