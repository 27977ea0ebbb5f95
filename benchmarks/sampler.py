"""`python -m benchmarks.sampler`: what attention control costs beside the plain pipeline.

All ratios are of the denoising loop, prompts and noise in, latents out, in one process, interleaved: same dtype,
threads and memory format, eager on both sides. Plain is the diffusers pipeline making the same number of pictures.
`sd15` is the SD 1.5 architecture with random weights, in bfloat16: a step inside both windows, one inside the cross
window only and one after are timed and composed to 50 steps. Run it with nothing else running.

Control: a refinement with new words and a reweighting, cross 0 to .8, self 0 to .4.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.explicit import ExplicitAttention
from benchmarks.sd15 import random_pipeline
from p2p.families import load
from p2p.families.stable_diffusion import StableDiffusion
from p2p.preparation import assemble, prepare
from p2p.sampling import Denoising
from p2p.spec import EditSpec
from p2p.trajectory import Redenoising, kept, key_of

STEPS = {"scenes": 20, "sd15": 50}
#: Of 50 steps: one inside both windows, one inside the cross window only, one after; and how many there are of each.
REPRESENTATIVE = ((5, 20), (30, 20), (45, 10))
PAIRS = {"scenes": 7, "sd15": 5}
COLOURS = ("red", "green", "blue", "yellow", "purple", "pink", "white")
ROWS = (("scenes", 64, 1), ("scenes", 64, 3), ("scenes", 64, 7), ("sd15", 256, 1), ("sd15", 256, 7), ("sd15", 512, 1))
QUICK = (("scenes", 64, 1), ("sd15", 256, 1))


@cache
def model(name: str) -> StableDiffusion:
    """The built-in model in float32, or SD 1.5's architecture with random weights in bfloat16."""
    if name == "scenes":
        return load("stable_diffusion", "scenes/model")
    return StableDiffusion(random_pipeline(), "random")


def spec(name: str, size: int, edits: int, *, maps: bool) -> EditSpec:
    """The benchmark's edits; `maps` adds a local blend and all word maps."""
    targets = [
        {
            "prompt": f"a {colour} cat on a beach at night",
            "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": [{"word": colour, "weight": 2}]}],
            "local_blend": {"words": [{"word": "cat"}]} if maps else None,
        }
        for colour in COLOURS[:edits]
    ]
    return EditSpec.model_validate(
        {
            "source": {"prompt": "a cat on a beach"},
            "targets": targets,
            "sampling": {"steps": STEPS[name], "guidance_scale": 7.5, "height": size, "width": size},
            "artifacts": {"heatmaps": maps, "raw_maps": maps},
        }
    )


class Plain:
    """The pipeline's own loop: `StableDiffusionPipeline.__call__` between its prompts and its latents."""

    def __init__(self, family: StableDiffusion, made: EditSpec) -> None:
        self.family, self.scale = family, made.sampling.guidance_scale
        self.scheduler = family.scheduler(made.sampling.steps)
        self.num_steps = len(self.scheduler.timesteps)
        text, negative = family.pipeline.encode_prompt(list(made.prompts), family.device, 1, True, None)
        self.context = torch.cat([negative, text])
        shape = family.latent_shape(made.sampling.height, made.sampling.width)
        noise = torch.randn((1, *shape), generator=torch.Generator().manual_seed(0))
        self.latents = noise.to(family.dtype).repeat(len(made.prompts), 1, 1, 1)

    @torch.no_grad()
    def step(self, index: int) -> Tensor:
        timestep = self.scheduler.timesteps[index]
        output = self.family.network(torch.cat([self.latents] * 2), timestep, self.context, return_dict=False)[0]
        without, with_text = output.chunk(2)
        prediction = without + self.scale * (with_text - without)
        self.latents = self.scheduler.step(prediction, timestep, self.latents, return_dict=False)[0]
        return self.latents


def ours(family: StableDiffusion, made: EditSpec) -> Denoising:
    """The sampler."""
    scheduler = family.scheduler(made.sampling.steps)
    return assemble([prepare(made, family, len(scheduler.timesteps))], family, scheduler)


def oracle(family: StableDiffusion, made: EditSpec) -> Denoising:
    """The sampler with every attention matrix written out."""
    run = ours(family, made)
    (job,), first = run.control.jobs, len(run.conditioning.guided)
    run.processors = {
        site.name: ExplicitAttention(site, job, first, family.levels, run.control) for site in family.attention_sites()
    }
    return run


def again(family: StableDiffusion, made: EditSpec) -> Denoising:
    """An edit of a kept source, whose latents here are noise: what they hold changes no time."""
    scheduler = family.scheduler(made.sampling.steps)
    job = prepare(made, family, len(scheduler.timesteps))
    latents = [job.noise[0].to(family.dtype)] * len(scheduler.timesteps)
    return Redenoising(family, scheduler, job, kept(key_of(made, family, scheduler), job.noise, latents, []))


VARIANTS: dict[str, Callable[[StableDiffusion, EditSpec], Denoising]] = {
    "plain": Plain, "ours": ours, "maps": ours, "again": again, "oracle": oracle,
}  # fmt: skip


def seconds(variant: str, family: StableDiffusion, name: str, size: int, edits: int) -> float:
    """Seconds of a variant's loop, prompts and noise in, latents out."""
    made, began = spec(name, size, edits, maps=variant == "maps"), time.perf_counter()
    run = VARIANTS[variant](family, made)
    if name == "scenes":
        for index in range(run.num_steps):
            run.step(index)
        return time.perf_counter() - began
    total = time.perf_counter() - began
    for index, steps in REPRESENTATIVE:
        began = time.perf_counter()
        run.step(index)
        total += steps * (time.perf_counter() - began)
    return total


def measured(name: str, size: int, edits: int, pairs: int) -> dict:
    """A row of the report."""
    family = model(name)
    seconds("plain", family, name, size, edits)  # warms caches and allocator up
    timed: dict[str, list[float]] = {variant: [] for variant in ("plain", "ours", "maps", "again")}
    for _ in range(pairs):
        for variant, times in timed.items():
            times.append(seconds(variant, family, name, size, edits))

    def ratios(variant: str) -> list[float]:
        return [one / other for one, other in zip(timed[variant], timed["plain"], strict=True)]

    def median(variant: str) -> float:
        return round(statistics.median(ratios(variant)), 4)

    once = statistics.median(timed["ours"])
    pair = once if edits == 1 else statistics.median(seconds("ours", family, name, size, 1) for _ in range(pairs))
    quartiles = statistics.quantiles(ratios("ours"), n=4)[::2] if pairs > 1 else ratios("ours") * 2
    plain_memory, our_memory, oracle_memory = (memory(v, name, size, edits) for v in ("plain", "ours", "oracle"))
    decode = decoding(family, name, size, edits)
    return {
        "model": name,
        "size": size,
        "edits": edits,
        "ours_to_plain": median("ours"),
        "ours_to_plain_quartiles": [round(q, 4) for q in quartiles],
        "ours_with_maps_and_blend_to_plain": median("maps"),
        "reedit_to_plain": median("again"),
        "many_to_pairs": round(once / (edits * pair), 4),
        "oracle_to_ours": round(seconds("oracle", family, name, size, edits) / once, 4),
        "memory_ours_to_plain": round(our_memory / plain_memory, 4),
        "memory_oracle_to_ours": round(oracle_memory / our_memory, 4),
        "decode_to_plain": round(decode / statistics.median(timed["plain"]), 4),
    }


def decoding(family: StableDiffusion, name: str, size: int, edits: int) -> float:
    """Seconds of decoding all pictures."""
    latents = torch.zeros(edits + 1, *family.latent_shape(size, size), dtype=family.dtype)
    began = time.perf_counter()
    family.decode(latents)
    return time.perf_counter() - began


def memory(variant: str, name: str, size: int, edits: int) -> int:
    """Bytes that a variant's loop takes at its peak beyond what was resident before, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sampler", "--memory", variant, name, str(size), str(edits)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def own_peak(variant: str, name: str, size: int, edits: int) -> int:
    """What `memory` asks of its process."""
    family = model(name)
    run = VARIANTS[variant](family, spec(name, size, edits, maps=False))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark (proc(5))
    before = status("VmRSS")
    for index in [index for index, _ in REPRESENTATIVE] if name != "scenes" else range(run.num_steps):
        run.step(index)
    return status("VmHWM") - before


def status(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="`scenes` and `sd15` 256x256, one edit, one pair each")
    parser.add_argument("--memory", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        variant, name, *numbers = arguments.memory
        print(own_peak(variant, name, *map(int, numbers)))
        return
    cases = QUICK if arguments.quick else ROWS
    rows = [measured(name, size, edits, 1 if arguments.quick else PAIRS[name]) for name, size, edits in cases]
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
