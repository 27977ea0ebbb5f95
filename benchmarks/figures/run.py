"""The run of a figure: one source and its targets, by the defaults of the benchmark."""

from collections.abc import Sequence

from benchmarks.quality.painting import GUIDANCE_SCALE, STEPS
from jobs.catalogue import ModelDefaults
from p2p.edit import EditResult, edit
from p2p.families.base import ModelFamily
from p2p.spec import EditSpec
from service.edits.windows import with_windows


def edited(
    family: ModelFamily,
    prompt: str,
    targets: Sequence[dict],
    seed: int,
    *,
    keep: bool = False,
    maps: bool = False,
    steps: int = STEPS,
    guidance_scale: float = GUIDANCE_SCALE,
    defaults: ModelDefaults | None = None,
) -> EditResult:
    """A prompt's picture and its edits, from a seed.

    Args:
        defaults: a model's, which may have windows of its own.
    """
    spec = EditSpec.model_validate(
        {
            "source": {"prompt": prompt},
            "targets": list(targets),
            "sampling": {"steps": steps, "guidance_scale": guidance_scale, "seed": seed},
            "artifacts": {"heatmaps": maps, "raw_maps": False},
        }
    )
    return edit(with_windows(spec, spec, defaults) if defaults else spec, family, keep=keep)
