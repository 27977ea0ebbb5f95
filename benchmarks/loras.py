"""`python -m benchmarks.loras`: what a LoRA that a job asks for costs, on the built-in model.

A LoRA of rank 16 at all attention layers, with random numbers: what they are costs nothing. `load_ms` is the time to
put it beside the weights, `drop_ms` to take it away, medians. `with_to_without` is the time of a job of 20 steps that
asks for it, over one that does not, the LoRA in memory; `switched_off_to_never_there` is that of a job without it while
it stays in memory, over that before it was ever loaded.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from p2p.edit import edit
from p2p.families import load
from p2p.families.stable_diffusion import StableDiffusion
from p2p.spec import EditSpec, LoraUse

RANK = 16
LORA = LoraUse(id="random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="once each")
    repeats = 1 if parser.parse_args().quick else 9
    family = cast(StableDiffusion, load("stable_diffusion", "scenes/model"))
    with tempfile.TemporaryDirectory() as folder:
        family.loras.files["random"] = _written(family, Path(folder))
        _job(family)  # packs the weights and makes the kernels
        never = [_timed(lambda: _job(family)) for _ in range(repeats)]
        loads, drops = [], []
        for _ in range(repeats):
            loads.append(_timed(lambda: _take_up(family)))
            drops.append(_timed(family.loras.empty))
        _job(family, LORA)
        pairs = [(_timed(lambda: _job(family, LORA)), _timed(lambda: _job(family))) for _ in range(repeats)]
    report = {
        "load_ms": round(1000 * statistics.median(loads), 1),
        "drop_ms": round(1000 * statistics.median(drops), 1),
        "with_to_without": round(statistics.median(one / other for one, other in pairs), 3),
        "switched_off_to_never_there": round(statistics.median(off for _, off in pairs) / statistics.median(never), 3),
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


def _take_up(family: StableDiffusion) -> None:
    with family.loras.applied([LORA]):
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
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
