"""`python -m benchmarks.sampler`: what attention control costs beside the plain pipeline.

All ratios are of the denoising loop, prompts and noise in, latents out, in one process, step by step in turn: same
precision, threads, memory format and packed weights, eager on both sides. Plain is the diffusers pipeline's loop making
the same number of pictures. `sd15` is the SD 1.5 architecture with random weights, in bfloat16: a step inside both
windows, one inside the cross window only and one after are timed and composed to 50 steps. `sdxl` has SDXL's block
widths with one transformer block a level (`benchmarks.random_weights_xl`). Run it with nothing else running.

Control: a refinement with new words and a reweighting, cross 0 to .8, self 0 to .4. With `--device cuda` SD 1.5 and
SD 2.1 at their own sizes. `flux` and `sd3` have the block widths of FLUX.1 and SD3 medium and few blocks
(`benchmarks.random_weights_flows`); cross 0 to .4, self 0 to .2, and no explicit form.
`--compile` compiles the network, its attention apart, on all sides.
"""

import argparse
import json
import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence

import torch

from benchmarks.memory import LOOPS, Case, Peaks, device_peak
from benchmarks.variants import BUILT_IN, STEPS, VARIANTS, WINDOWS, loops_of, model, spec
from p2p.sampling import noise_streams

#: Of 50 steps: one inside both windows, one inside the cross window only, one after; and how many there are of each.
REPRESENTATIVE = ((5, 20), (30, 20), (45, 10))
#: The same of models whose windows end earlier (`benchmarks.variants.WINDOWS`).
EARLIER = ((5, 10), (15, 10), (45, 30))
PAIRS = {"scenes": 7, "scenes-tokens": 7, "sd15": 5, "sd21": 5, "sdxl": 3, "flux": 5, "sd3": 5}
#: How often a loop is run for one measurement: built-in models take half a second, less than disturbances.
REPEATS = {"scenes": 3, "scenes-tokens": 3}
#: A variant, and of what.
Loop = tuple[str, Case]
SCENES: tuple[Case, ...] = (("scenes", 64, 1), ("scenes", 64, 3), ("scenes", 64, 7))
TOKENS: tuple[Case, ...] = (("scenes-tokens", 64, 1), ("scenes-tokens", 64, 3), ("scenes-tokens", 64, 7))
FLOWS: tuple[Case, ...] = (("flux", 512, 1), ("sd3", 512, 1))
ROWS: dict[str, tuple[Case, ...]] = {
    "cpu": (*SCENES, *TOKENS, ("sd15", 256, 1), ("sd15", 256, 7), ("sd15", 512, 1), ("sdxl", 512, 1), *FLOWS),
    "cuda": (*SCENES, *TOKENS, ("sd15", 512, 1), ("sd15", 512, 7), ("sd21", 768, 1), ("sdxl", 1024, 1), *FLOWS),
}
QUICK = (("scenes", 64, 1), ("scenes-tokens", 64, 1), ("sd15", 128, 1))


def counted(name: str) -> Sequence[tuple[int, int]]:
    """The steps of a model's loop that are timed, and for how many each stands."""
    if name in BUILT_IN:
        return [(index, 1) for index in range(STEPS[name])]
    return EARLIER if name in WINDOWS else REPRESENTATIVE


class Timing:
    """The clock of a device."""

    def __init__(self, device: str, *, compiled: bool, repeats: Mapping[str, int] = REPEATS) -> None:
        self.device, self.compiled, self.repeats = device, compiled, repeats

    def now(self) -> float:
        """Seconds, once the device has done all its work."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def warm_up(self, name: str, size: int, edits: int) -> None:
        """Loads the model, packs its weights or compiles it, and makes the kernels of this size.

        On a GPU, those of every variant: each has batches of its own, for which the libraries choose kernels at the
        first call. Without it the upper quartile of the ratios was above 2 on an H200.
        """
        family = model(name, self.device, compiled=self.compiled)
        for variant in loops_of(name, VARIANTS) if self.device == "cuda" else ("plain",):
            run = VARIANTS[variant](family, spec(name, size, edits, maps=variant == "maps"))
            for index, _ in counted(name) if self.device == "cuda" else [(0, 1)]:
                run.step(index)

    def seconds(self, loops: Mapping[str, Loop]) -> dict[str, float]:
        """Seconds of some loops, prompts and noise in, latents out.

        Small ones are run several times, and each of their steps counts with its median.
        """
        if not loops:
            return {}  # of the explicit form, which joint attention has none of
        (name,) = {case[0] for _, case in loops.values()}
        weights = [1, *(steps for _, steps in counted(name))]
        runs = [self._parts(loops, name) for _ in range(self.repeats.get(name, 1))]
        return {
            loop: sum(
                weight * statistics.median(run[loop][part] for run in runs) for part, weight in enumerate(weights)
            )
            for loop in loops
        }

    def _parts(self, loops: Mapping[str, Loop], name: str) -> dict[str, list[float]]:
        """Seconds of the parts of some loops: what comes before the first step, then every step that is counted.

        A step of each in turn, so that what disturbs the machine for longer than a step disturbs them alike; and each
        time another one first, because what runs first finds the caches as the last one left them.
        """
        runs, parts = {}, {}
        for loop, (variant, (_, size, edits)) in loops.items():
            family, began = model(name, self.device, compiled=self.compiled), self.now()
            runs[loop] = VARIANTS[variant](family, spec(name, size, edits, maps=variant == "maps"))
            parts[loop] = [self.now() - began]
        order = deque(runs)
        for index, _ in counted(name):
            for loop in order:
                began = self.now()
                runs[loop].step(index)
                parts[loop].append(self.now() - began)
            order.rotate()
        return parts

    def decoding(self, name: str, size: int, edits: int) -> float:
        """Seconds of decoding all pictures."""
        family = model(name, self.device, compiled=self.compiled)
        shape = edits + 1, *family.latent_shape(size, size)
        like = family.sampler(1, None, shape[1:]).start(shape[1:], noise_streams(0, 1))
        dtype = family.dtype if like.is_floating_point() else like.dtype
        latents = torch.zeros(shape, dtype=dtype, device=family.device)
        began = self.now()
        family.decode(latents)
        return self.now() - began


def measured(timing: Timing, case: Case, pairs: int) -> dict:
    """A row of the report, its memory apart."""
    name, size, edits = case
    loops = {variant: (variant, case) for variant in ("plain", "ours", "maps", "again")}
    loops["pair"] = "ours", (name, size, 1)
    if edits == 1:
        del loops["pair"]
    timed: dict[str, list[float]] = {loop: [] for loop in loops}
    for _ in range(pairs):
        for loop, seconds in timing.seconds(loops).items():
            timed[loop].append(seconds)
    pair = timed.get("pair", timed["ours"])
    explicit = timing.seconds({loop: (loop, case) for loop in loops_of(name, ["oracle"])})

    def ratios(variant: str) -> list[float]:
        return [one / other for one, other in zip(timed[variant], timed["plain"], strict=True)]

    def median(variant: str) -> float:
        return round(statistics.median(ratios(variant)), 4)

    quartiles = statistics.quantiles(ratios("ours"), n=4)[::2] if pairs > 1 else ratios("ours") * 2
    return {
        "model": name,
        "size": size,
        "edits": edits,
        "ours_to_plain": median("ours"),
        "ours_to_plain_quartiles": [round(q, 4) for q in quartiles],
        "ours_with_maps_and_blend_to_plain": median("maps"),
        "reedit_to_plain": median("again"),
        "many_to_pairs": round(statistics.median(o / (edits * p) for o, p in zip(timed["ours"], pair, strict=True)), 4),
        "oracle_to_ours": _ratio(explicit.get("oracle"), statistics.median(timed["ours"])),
        "decode_to_plain": round(timing.decoding(*case) / statistics.median(timed["plain"]), 4),
    }


def _ratio(one: float | None, other: float) -> float | None:
    return None if one is None else round(one / other, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="the built-in models and `sd15` 128x128, one edit, one pair each"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", choices=STEPS, action="append", help="only its rows; may be said several times")
    parser.add_argument("--compile", action="store_true", help="compile the network on all sides (with a GPU)")
    arguments = parser.parse_args()
    timing = Timing(arguments.device, compiled=arguments.compile, repeats={} if arguments.quick else REPEATS)
    asked = QUICK if arguments.quick else ROWS[arguments.device]
    cases = [case for case in asked if not arguments.model or case[0] in arguments.model]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # until the process that measures memory is forked
    for case in {name: (name, size, 1) for name, size, _ in reversed(cases)}.values():
        timing.warm_up(*case)
    peaks = Peaks(threads) if arguments.device == "cpu" else None
    torch.set_num_threads(threads)
    for case in cases:
        timing.warm_up(*case)
    rows = [measured(timing, case, 1 if arguments.quick else PAIRS[case[0]]) for case in cases]
    if peaks:
        memory = peaks.of(cases, quick=arguments.quick)
    else:
        memory = [
            {loop: device_peak(loop, *case, compiled=timing.compiled) for loop in loops_of(case[0], LOOPS)}
            for case in cases
        ]
    for row, peak in zip(rows, memory, strict=True):
        row["memory_ours_to_plain"] = round(peak["ours"] / peak["plain"], 4)
        row["memory_oracle_to_ours"] = _ratio(peak.get("oracle"), peak["ours"])
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
