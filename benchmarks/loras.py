"""`python -m benchmarks.loras`: what a LoRA that a job asks for costs, on the built-in model.

A LoRA of rank 16 at all attention layers, with random numbers: what they are costs nothing. `load_ms` is the time to
read it and make the weights with it, `weigh_ms` to make them with another weight, medians. `with_to_without` is the
time of a job of 20 steps that asks for it, over one that does not, the LoRA in memory; `out_to_never_there` is that of
a job without it while it stays in memory, over that before it was ever read. `beside_to_without` is what it would be
with peft's layers beside the weights. Times are the process's own on one thread, so that other programs hardly count.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from p2p.edit import edit
from p2p.families import load
from p2p.families.loras import put_beside
from p2p.families.stable_diffusion import StableDiffusion
from p2p.spec import EditSpec, LoraUse

RANK = 16
LORA = LoraUse(id="random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="once each")
    repeats = 1 if parser.parse_args().quick else 9
    torch.set_num_threads(1)
    family = cast(StableDiffusion, load("stable_diffusion", "scenes/model"))
    with tempfile.TemporaryDirectory() as folder:
        family.loras.files["random"] = _written(family, Path(folder))
        _job(family)  # packs the weights and makes the kernels
        never = [_timed(lambda: _job(family)) for _ in range(repeats)]
        loads, weighs = [], []
        for index in range(repeats):
            family.loras.empty()
            loads.append(_timed(lambda: _take_up(family)))
            weight = 0.5 + index / (2 * repeats)
            weighs.append(_timed(partial(_take_up, family, weight)))
        _job(family, LORA)
        pairs = [(_timed(lambda: _job(family, LORA)), _timed(lambda: _job(family))) for _ in range(repeats)]
        put_beside(family.pipeline, family.loras.files["random"], "beside")
        _job(family)
        beside = [_timed(lambda: _job(family)) for _ in range(repeats)]
    report = {
        "load_ms": round(1000 * statistics.median(loads), 1),
        "weigh_ms": round(1000 * statistics.median(weighs), 1),
        "with_to_without": round(statistics.median(one / other for one, other in pairs), 3),
        "out_to_never_there": round(statistics.median(out for _, out in pairs) / statistics.median(never), 3),
        "beside_to_without": round(statistics.median(beside) / statistics.median(out for _, out in pairs), 3),
    }
    print(json.dumps(report))


def _written(family: StableDiffusion, folder: Path) -> str:
    network = family.pipeline.unet
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    network.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets), "made")
    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(network, adapter_name="made"))
    family.pipeline.unload_lora_weights()
    torch.manual_seed(0)
    path = folder / "random.safetensors"
    save_file({f"unet.{name}": torch.randn(weight.shape) * 0.01 for name, weight in state.items()}, path)
    return str(path)


def _take_up(family: StableDiffusion, weight: float = 1.0) -> None:
    with family.loras.applied([LORA.model_copy(update={"weight": weight})]):
        pass


def _job(family: StableDiffusion, *loras: LoraUse) -> Any:
    target = {"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}
    spec = EditSpec.model_validate(
        {
            "source": {"prompt": "a cat on the beach"},
            "targets": [target],
            "sampling": {"steps": 20, "seed": 1},
            "artifacts": {"heatmaps": False},
        }
    )
    return edit(spec.model_copy(update={"loras": loras}), family)


def _timed(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
