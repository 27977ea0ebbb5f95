"""An item edited as its authors' prompt-to-prompt rows were (`run_editing_p2p.py`), by `p2p`."""

import io
from pathlib import Path

from diffusers import DDIMScheduler
from PIL import Image

from benchmarks.pie_bench.mapping import Item
from p2p.edit import EditResult, edit_again_steps
from p2p.families.stable_diffusion import StableDiffusion
from p2p.inversion import invert
from p2p.spec import EditSpec
from p2p.stepping import result_of
from p2p.words import find

STEPS, GUIDANCE_SCALE, CROSS, SELF = 50, 7.5, 0.4, 0.6
#: By how much the target's blended word is turned up.
WEIGHT = 2.0
JPEG_QUALITY = 75


def spec_of(item: Item, steps: int = STEPS) -> EditSpec:
    """An item as a spec: always "refine"; with a blended word that the prompts hold, local blend and its weight.

    Of a word that a prompt does not hold nothing is blended or weighed. The published code then finds no region, and
    where neither prompt holds its word, returns the source.
    """
    target: dict = {
        "prompt": item.target,
        "edits": [{"kind": "refine"}],
        "cross_window": {"stop": CROSS},
        "self_window": {"stop": SELF},
    }
    if item.blended is not None:
        before, after = item.blended
        of_source = [{"word": before}] if find(item.source, before) else []
        of_target = [{"word": after}] if find(item.target, after) else []
        if of_target:
            target["edits"].append({"kind": "reweight", "weights": [{"word": after, "weight": WEIGHT}]})
        if of_source or of_target:
            target["local_blend"] = {"words": of_target, "source_words": of_source}
    return EditSpec.model_validate(
        {
            "source": {"prompt": item.source},
            "targets": [target],
            "sampling": {"steps": steps, "guidance_scale": GUIDANCE_SCALE, "scheduler": "ddim"},
            "artifacts": {"heatmaps": False, "raw_maps": False},
            "compat": "reference",
        }
    )


def edited(item: Item, family: StableDiffusion, *, method: str, steps: int = STEPS) -> Image.Image:
    """The edited picture of an item, as the published code would have read it from its file."""
    spec = spec_of(item, steps)
    found = invert(item.image(), item.source, family, method=method, sampling=spec.sampling)
    result = result_of(edit_again_steps(spec, family, found.trajectory))
    assert isinstance(result, EditResult)
    return as_stored(result.images[1], item.picture)


def as_stored(image: Image.Image, source: Path) -> Image.Image:
    """An edited picture after it was written in its source's format and read again.

    The published code saves it under the source's name, which ends in .jpg, by Pillow's defaults, and measures the
    file: what JPEG loses is in the published figures. It saves it beside others, at a multiple of 512 pixels, where
    JPEG's blocks are the same; colours differ in the one column that touches them, which every region holds.
    """
    if source.suffix.lower() not in {".jpg", ".jpeg"}:
        return image
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return Image.open(file).convert("RGB")


def with_published_timesteps(family: StableDiffusion) -> StableDiffusion:
    """A family whose DDIM begins its timesteps at 0, as the published code's does, and not at 1 (`steps_offset`)."""
    own = family.pipeline.scheduler
    if own.config.get("timestep_spacing", "leading") == "leading":
        family.pipeline.scheduler = DDIMScheduler.from_config(
            own.config, steps_offset=0, set_alpha_to_one=False, clip_sample=False
        )
    return family
