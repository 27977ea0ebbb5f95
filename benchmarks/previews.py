"""`python -m benchmarks.previews`: what a preview costs a run.

Seconds of a preview (`p2p.previews`: clean latents, decoded and made pictures; judging, writing and storing go on
beside the run) over those of a step, medians over one run of a source and its edits, with the built-in model and with
random weights in Stable Diffusion 1.5's architecture at 512x512. `share_of_run` is what four of them add to a run of so
many steps as is usual. Run it with nothing else running.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping

import torch

from benchmarks.random_weights import random_pipeline
from p2p.edit import edit_steps
from p2p.families import load
from p2p.families.base import ModelFamily
from p2p.families.stable_diffusion import StableDiffusion
from p2p.previews import preview
from p2p.spec import MAX_PREVIEWS, EditSpec

#: Per model: targets and steps that are run, and steps of a run by its defaults.
CASES = {"scenes": (3, 12, 20), "sd15": (1, 3, 50)}


def family(name: str) -> ModelFamily:
    """A model, on the GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "scenes":
        return load("stable_diffusion", "scenes/model", device=device)
    return StableDiffusion(random_pipeline(name, torch.device(device)))


def measured(name: str) -> Mapping[str, object]:
    """A row of the report."""
    targets, steps, whole = CASES[name]
    model = family(name)
    target = {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}
    body = {"source": {"prompt": "a cat on a beach"}, "targets": [target] * targets, "sampling": {"steps": steps}}
    of_steps, of_previews = [], []
    began = time.perf_counter()
    for step in edit_steps(EditSpec.model_validate(body), model):
        _settled()
        stepped = time.perf_counter()
        preview(step, model)
        of_steps.append(stepped - began)
        began = time.perf_counter()
        of_previews.append(began - stepped)
    # The first of each finds nothing prepared.
    ratio = statistics.median(of_previews[1:]) / statistics.median(of_steps[1:])
    return {
        "model": name,
        "pictures": 1 + targets,
        "preview_to_step": round(ratio, 4),
        "share_of_run": round(MAX_PREVIEWS * ratio / whole, 4),
    }


def _settled() -> None:
    """Steps on a GPU are over when it says so; making pictures waits for it by itself."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="`scenes` only")
    names = ("scenes",) if parser.parse_args().quick else tuple(CASES)
    print(json.dumps({"rows": [measured(name) for name in names]}))


if __name__ == "__main__":
    main()
