"""The run of a figure: one source and its targets, by the defaults of the benchmark."""

from collections.abc import Sequence

from benchmarks.quality.painting import GUIDANCE_SCALE, STEPS
from p2p.edit import EditResult, edit
from p2p.families.base import ModelFamily
from p2p.spec import EditSpec


def edited(family: ModelFamily, prompt: str, targets: Sequence[dict], seed: int, *, keep: bool = False) -> EditResult:
    """A prompt's picture and its edits, from a seed."""
    return edit(
        EditSpec.model_validate(
            {
                "source": {"prompt": prompt},
                "targets": list(targets),
                "sampling": {"steps": STEPS, "guidance_scale": GUIDANCE_SCALE, "seed": seed},
                "artifacts": {"heatmaps": False, "raw_maps": False},
            }
        ),
        family,
        keep=keep,
    )
