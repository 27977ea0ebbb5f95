"""`python -m benchmarks.formats`: what makes the network itself faster on a CPU, before any attention control.

One call of the denoising network with four rows (an edit with guidance): as PyTorch runs it, with channels last, with
packed weights (`p2p.families.packed`), with weights packed for half the size, and compiled. Seconds of each over those
of the first, medians of interleaved calls in one process, and what the compiler takes first. Run it with nothing else
running.
"""

import argparse
import json
import statistics
import time

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from benchmarks.random_weights import random_pipeline
from p2p.families.packed import PackedConv2d, pack

FORMATS = "plain", "channels_last", "packed", "packed_for_half"
#: Latents a side, and calls of each.
CASES = {"scenes": (16, 25), "sd15": (32, 7)}


def network(name: str) -> UNet2DConditionModel:
    """A denoising network as it is loaded: `scenes` in float32, SD 1.5's architecture in bfloat16."""
    if name == "scenes":
        return UNet2DConditionModel.from_pretrained("scenes/model/unet", dtype=torch.float32).eval()
    return random_pipeline(name, torch.device("cpu")).unet


def formats(name: str, *, compiled: bool) -> dict:
    """The network in every format, by the format's name."""
    made = {form: network(name) for form in (*FORMATS, *(["compiled"] if compiled else []))}
    made["channels_last"].to(memory_format=torch.channels_last)
    pack(made["packed"])
    pack(made["packed_for_half"])
    if compiled:
        made["compiled"] = torch.compile(made["compiled"])
    return made


@torch.no_grad()
def measured(name: str, calls: int, *, compiled: bool) -> dict:
    """A row of the report."""
    side = CASES[name][0]
    made = formats(name, compiled=compiled)
    config, dtype = made["plain"].config, made["plain"].dtype
    latents = torch.randn(4, config.in_channels, side, side, dtype=dtype)
    context = torch.randn(4, 77, config.cross_attention_dim, dtype=dtype)

    def seconds(form: str, latents: Tensor = latents) -> float:
        began = time.perf_counter()
        made[form](latents, torch.tensor(500), context, return_dict=False)
        return time.perf_counter() - began

    seconds("packed_for_half", latents[..., : side // 2, : side // 2])
    for layer in made["packed_for_half"].modules():
        if isinstance(layer, PackedConv2d) and layer.packed_for:
            layer.packed_for = torch.Size(2 * size for size in layer.packed_for)
    first = {form: seconds(form) for form in made}
    timed: dict[str, list[float]] = {form: [] for form in made}
    for _ in range(calls):
        for form, times in timed.items():
            times.append(seconds(form))
    plain = statistics.median(timed["plain"])
    ratios = {f"{form}_to_plain": round(statistics.median(times) / plain, 4) for form, times in timed.items()}
    del ratios["plain_to_plain"]
    return {"model": name, "side": side, **ratios, "seconds_to_compile": round(first.get("compiled", 0), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="`scenes` only, not compiled")
    quick = parser.parse_args().quick
    names = ("scenes",) if quick else tuple(CASES)
    rows = [measured(name, CASES[name][1], compiled=not quick) for name in names]
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
