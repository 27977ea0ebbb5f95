"""`python -m benchmarks.parity DIR`: how far the sampler is from the reference's own outputs.

DIR holds `pipeline/` (a diffusers directory), `cases.json` and `expected.npz`, as `tests/parity/golden/README.md`
describes. Each case is said as a public spec and run through `p2p.edit.edit`, nothing else.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from p2p.edit import edit
from p2p.families import load
from p2p.families.base import ModelFamily
from p2p.spec import EditSpec


def window(value: float | list[float]) -> dict:
    """A number f is the window from 0 to f."""
    start, stop = value if isinstance(value, list) else (0.0, value)
    return {"start": start, "stop": stop}


def blend(case: dict, target: int) -> dict:
    """The case's local blend for a target; the case lists words per prompt, the source's first."""

    def names(field: str, prompt: int) -> list[dict]:
        words = case["local_blend"].get(field, [[]] * len(case["prompts"]))[prompt]
        return [{"word": word} for word in ([words] if isinstance(words, str) else words)]

    threshold, subtract_threshold = case["local_blend"]["threshold"]
    return {
        "words": names("words", target),
        "source_words": names("words", 0),
        "subtract_words": names("subtract_words", target),
        "source_subtract_words": names("subtract_words", 0),
        "start": case["local_blend"]["start_blend"],
        "threshold": threshold,
        "subtract_threshold": subtract_threshold,
    }


def spec_of(case: dict, steps: int, guidance_scale: float) -> EditSpec:
    """A golden case as a public spec."""
    cross = case["cross_replace_steps"]
    windows = cross if isinstance(cross, dict) else {"default_": cross}
    edits = [] if case["kind"] == "reweight" else [{"kind": case["kind"]}]
    if "equalizer" in case:
        weights = [{"word": word, "weight": weight} for word, weight in case["equalizer"].items()]
        edits.append({"kind": "reweight", "weights": weights})
    targets = [
        {
            "prompt": prompt,
            "edits": edits,
            "cross_window": window(windows["default_"]),
            "word_windows": [
                {"word": word, "window": window(value)}
                for word, value in windows.items()
                if word != "default_" and word in prompt.split()
            ],
            "self_window": window(case["self_replace_steps"]),
            "local_blend": blend(case, index) if "local_blend" in case else None,
        }
        for index, prompt in enumerate(case["prompts"][1:], 1)
    ]
    return EditSpec.model_validate(
        {
            "source": {"prompt": case["prompts"][0]},
            "targets": targets,
            "sampling": {"steps": steps, "guidance_scale": guidance_scale},
            "artifacts": {"heatmaps": False, "raw_maps": False},
            "compat": "reference",
        }
    )


def compare(family: ModelFamily, directory: Path, most: int | None = None) -> dict:
    """The distance of every case's final latents, or of the first `most` ones', from the expected ones."""
    cases, expected = json.loads((directory / "cases.json").read_text()), np.load(directory / "expected.npz")
    noise = torch.from_numpy(expected["latent"])
    report = {}
    for case in cases["cases"][:most]:
        result = edit(spec_of(case, cases["steps"], cases["guidance_scale"]), family, noise=noise)
        wanted = torch.from_numpy(expected[case["name"]])
        difference = result.latents - wanted
        report[case["name"]] = {
            "relative_l2": (difference.norm() / wanted.norm()).item(),
            "max_abs": difference.abs().max().item(),
        }
    return {"cases": report, "worst_relative_l2": max(case["relative_l2"] for case in report.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--quick", action="store_true", help="the first two cases")
    arguments = parser.parse_args()
    family = load("stable_diffusion", str(arguments.directory / "pipeline"))
    print(json.dumps(compare(family, arguments.directory, 2 if arguments.quick else None), indent=1))


if __name__ == "__main__":
    main()
