"""What is counted over all edits: per method, and per kind of edit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.quality.changes import KINDS, drawn_pair
from benchmarks.quality.methods import pairs
from benchmarks.quality.metrics import may_change, psnr, ssim, succeeds
from benchmarks.quality.sources import Source
from scenes.judge.network import Judge
from scenes.judge.verdict import verdicts


@dataclass(frozen=True)
class Row:
    """One edit by one method; what does not apply is None.

    Attributes:
        success: of a generated source. preservation_psnr, preservation_ssim: the same, outside what may change.
        counterfactual_psnr: of a drawn source, to the true edited picture.
    """

    kind: str
    source: str
    target: str
    seed: int
    success: bool | None = None
    preservation_psnr: float | None = None
    preservation_ssim: float | None = None
    counterfactual_psnr: float | None = None


def rows(sources: Sequence[Source], images: Sequence[np.ndarray], judge: Judge) -> list[Row]:
    """How a method's pictures turned out, one for each change of each source."""
    counted = []
    for (source, change, _), image, seen in zip(pairs(sources), images, verdicts(judge, images), strict=True):
        row: dict[str, Any] = {"kind": change.kind, "source": change.before.caption(), "target": change.after.caption()}
        if source.layout is not None:
            _, truth = drawn_pair(change, source.layout)
            counted.append(Row(**row, seed=source.seed, counterfactual_psnr=psnr(image, truth.image)))
            continue
        kept = ~may_change(change, source.masks, seen.masks)
        counted.append(
            Row(
                **row,
                seed=source.seed,
                success=succeeds(change, source.verdict, seen),
                preservation_psnr=psnr(image, source.image, kept),
                preservation_ssim=ssim(image, source.image, kept),
            )
        )
    return counted


def summary(counted: Sequence[Row]) -> dict:
    """The three figures over all edits, and `by_kind` of each."""
    by_kind = {kind: _figures([row for row in counted if row.kind == kind]) for kind in KINDS}
    return _figures(counted) | {"by_kind": by_kind}


def _figures(counted: Sequence[Row]) -> dict[str, float | None]:
    names = {"success": 3, "preservation_psnr": 2, "counterfactual_psnr": 2}
    values = {name: [v for row in counted if (v := getattr(row, name)) is not None] for name in names}
    return {
        name: round(float(np.mean(values[name])), digits) if values[name] else None for name, digits in names.items()
    }
