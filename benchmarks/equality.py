"""`python -m benchmarks.equality`: how equal runs are that should be equal, on a CPU or a GPU.

One row per precision, with the built-in model. Each figure is the norm of the difference of two runs' latents, over the
norm of the latents. 0 is bit for bit. Batches of another size choose other kernels, which add in another order.

- `repeated`: the same edit twice.
- `empty_plan_to_plain`: an edit that carries nothing over, beside the diffusers pipeline's own loop.
- `beside_others_to_alone`: an edit that shares its batch with two other jobs, beside the edit by itself.
- `reedit_to_fresh`: an edit of a kept source, beside the fresh edit.
- `device_to_cpu`: the edit on this device in this precision, beside the CPU in float32.
"""

import argparse
import json
from functools import cache

import torch
from torch import Tensor

from benchmarks.variants import Plain
from p2p.edit import EditResult, edit, edit_again_steps, edit_batch_steps
from p2p.families import load
from p2p.families.stable_diffusion import StableDiffusion
from p2p.spec import EditSpec
from p2p.stepping import result_of

#: What each device is used with: a worker's own choice first.
PRECISIONS = {
    "cpu": (torch.float32, torch.bfloat16),
    "cuda": (torch.float16, torch.bfloat16, torch.float32),
}
STEPS = 20
SWAP = {
    "prompt": "a dog on a beach",
    "edits": [{"kind": "replace"}],
    "local_blend": {"words": [{"word": "dog"}]},
}
OTHERS = (
    {"prompt": "a cat on a beach at night", "edits": [{"kind": "refine"}]},
    {
        "prompt": "a purple cat on a beach",
        "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": [{"word": "purple", "weight": 2}]}],
    },
)
OFF = {"cross_window": {"stop": 0.0}, "self_window": {"stop": 0.0}}


def spec(*targets: dict, seed: int = 2) -> EditSpec:
    """An edit of the built-in model's cat."""
    return EditSpec.model_validate(
        {
            "source": {"prompt": "a cat on a beach"},
            "targets": targets,
            "sampling": {"steps": STEPS, "guidance_scale": 3.0, "seed": seed, "height": 64, "width": 64},
        }
    )


@cache
def family(device: str, dtype: torch.dtype) -> StableDiffusion:
    """The built-in model on a device, loaded once."""
    loaded = load("stable_diffusion", "scenes/model", device=device, dtype=dtype)
    assert isinstance(loaded, StableDiffusion)
    return loaded


def apart(one: Tensor, other: Tensor) -> float:
    """The norm of a difference over the norm of what it is measured against."""
    one, other = one.float().cpu(), other.float().cpu()
    return float(f"{(one - other).norm() / other.norm():.3g}")


def plain(made: EditSpec, model: StableDiffusion) -> Tensor:
    """The latents of diffusers' own loop, from the noise of the edit's seed."""
    run = Plain(model, made)
    (seed,) = made.seeds
    noise = torch.randn((1, *run.latents.shape[1:]), generator=torch.Generator().manual_seed(seed))
    run.latents = noise.to(model.device, model.dtype).repeat(len(made.prompts), 1, 1, 1)
    for index in range(run.num_steps):
        run.step(index)
    return run.latents


def measured(device: str, dtype: torch.dtype) -> dict:
    """A row of the report."""
    model, swap = family(device, dtype), spec(SWAP)
    alone = edit(swap, model, keep=True)
    empty = spec({"prompt": SWAP["prompt"], "edits": SWAP["edits"], **OFF})
    together = result_of(edit_batch_steps([swap, spec(OTHERS[0], seed=3), spec(OTHERS[1], seed=4)], model))
    assert alone.trajectory is not None
    again = result_of(edit_again_steps(swap, model, alone.trajectory))
    assert isinstance(again, EditResult)
    assert isinstance(together, tuple)
    return {
        "device": device,
        "precision": str(dtype).removeprefix("torch."),
        "repeated": apart(edit(swap, model).latents, alone.latents),
        "empty_plan_to_plain": apart(edit(empty, model).latents, plain(empty, model)),
        "beside_others_to_alone": apart(together[0].latents, alone.latents),
        "reedit_to_fresh": apart(again.latents, alone.latents),
        "device_to_cpu": apart(alone.latents, edit(swap, family("cpu", torch.float32)).latents),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first precision only")
    parser.add_argument("--device", choices=tuple(PRECISIONS), default="cpu")
    arguments = parser.parse_args()
    precisions = PRECISIONS[arguments.device][: 1 if arguments.quick else None]
    rows = [measured(arguments.device, dtype) for dtype in precisions]
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
