"""`python -m benchmarks.parity DIR`: how far the sampler is from the reference's own outputs.

DIR holds `pipeline/` (a diffusers directory), `cases.json` and `expected.npz`, as `tests/parity/golden/README.md`
describes. `pipeline/model_index.json` says which family it is of. Each case is said as a public spec and run through
`p2p.edit.edit`, nothing else; the case "null_text", of a picture, through `p2p.inversion.invert` and
`p2p.edit.edit_again_steps`. Models that draw tokens are compared by `benchmarks.parity_tokens`, flows by
`benchmarks.parity_joint`, and cases that are public specs by `benchmarks.parity_specs`. A field that is not known is an
error: no case is passed over.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.golden_cases import relative_l2, spec_of
from benchmarks.parity_joint import compare_joint
from benchmarks.parity_specs import are_specs, compare_specs
from benchmarks.parity_tokens import compare_tokens
from p2p.edit import EditResult, edit, edit_again_steps
from p2p.families import load
from p2p.families.base import ModelFamily
from p2p.inversion import invert
from p2p.layouts import family_of
from p2p.layouts.files import parts_of
from p2p.spec import State
from p2p.stepping import result_of

#: The fields that are read: of a folder, of a case, and of the case of a picture.
OF_FOLDER = {"steps", "guidance_scale", "dtype", "cases", "null_text"}
OF_CASE = {
    "name", "kind", "prompts", "equalizer", "cross_replace_steps", "self_replace_steps", "local_blend",
}  # fmt: skip
#: `learning_rate` is the published rule, which the sampler has as its own.
OF_NULL_TEXT = OF_CASE - {"name"} | {"num_inner_steps", "early_stop_epsilon", "learning_rate"}
#: How models of other states are compared.
OF_STATE: Mapping[State, Callable[[Any, Path, int | None], dict[str, Any]]] = {
    "tokens": compare_tokens,
    "flows": compare_joint,
}


def cases_of(directory: Path) -> dict:
    """A folder's cases.

    Raises:
        ValueError: they have a field that is not read here, and would be run as something else.
    """
    cases = json.loads((directory / "cases.json").read_text())
    null_text = cases.get("null_text", {})
    for known, said in [(OF_FOLDER, cases), (OF_NULL_TEXT, null_text), *((OF_CASE, case) for case in cases["cases"])]:
        if unknown := sorted(said.keys() - known):
            where = said.get("name", directory)
            raise ValueError(f"{where}: {', '.join(unknown)} is not a field that benchmarks.parity reads: teach it")
    if cases["dtype"] != "float32":
        raise ValueError(f"{directory}: made in {cases['dtype']}, and the sampler is compared in float32")
    return cases


def load_of(directory: Path) -> ModelFamily:
    """The folder's model, as the family that its files name."""
    pipeline = directory / "pipeline"
    return load(family_of(parts_of(pipeline)), str(pipeline))


def compare(
    family: ModelFamily, directory: Path, most: int | None = None, *, latents: dict[str, np.ndarray] | None = None
) -> dict:
    """The distance of every case's final latents, or of the first `most` ones', from the expected ones.

    Args:
        latents: where each case's final latents are put, by its name.
    """
    cases, expected = cases_of(directory), np.load(directory / "expected.npz")
    noise = torch.from_numpy(expected["latent"])
    report = {}
    for case in cases["cases"][:most]:
        result = edit(spec_of(case, cases["steps"], cases["guidance_scale"]), family, noise=noise)
        wanted = torch.from_numpy(expected[case["name"]])
        if latents is not None:
            latents[case["name"]] = result.latents.numpy()
        report[case["name"]] = {
            "relative_l2": relative_l2(result.latents, wanted),
            "max_abs": (result.latents - wanted).abs().max().item(),
        }
    return {"cases": report, "worst_relative_l2": max(case["relative_l2"] for case in report.values())}


def compare_null_text(family: ModelFamily, directory: Path) -> dict[str, float]:
    """The distance (relative L2) of the null-text case's way back, embeddings and edited latents from the expected.

    Its way back is read from `direct`, whose latents it is.
    """
    cases, expected = cases_of(directory), np.load(directory / "expected.npz")
    case = cases["null_text"]
    spec = spec_of(case, cases["steps"], cases["guidance_scale"])
    latents, wanted = (torch.from_numpy(expected[f"null_text/{name}"]) for name in ("x0", "ddim_latents"))
    settings = {"inner_steps": case["num_inner_steps"], "tolerance": case["early_stop_epsilon"]}
    prompt = spec.source.prompt
    back = invert(latents, prompt, family, method="direct", sampling=spec.sampling).trajectory
    found = invert(latents, prompt, family, method="null_text", sampling=spec.sampling, settings=settings).trajectory
    result = result_of(edit_again_steps(spec, family, found))
    ddim_latents = torch.cat([back.noise, back.latents]).flip(0)[:, None]  # the reference keeps the picture first
    assert found.unconditional is not None
    assert isinstance(result, EditResult)
    return {
        "ddim_latents": relative_l2(ddim_latents, wanted),
        "uncond": relative_l2(found.unconditional.context[:, None], torch.from_numpy(expected["null_text/uncond"])),
        "edited": relative_l2(result.latents, torch.from_numpy(expected["null_text/edited"])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--quick", action="store_true", help="the first two cases, without null-text's")
    parser.add_argument("--save", type=Path, metavar="FILE.npz", help="where each case's final latents go, by its name")
    arguments = parser.parse_args()
    family = load_of(arguments.directory)
    if family.state in OF_STATE:
        report = OF_STATE[family.state](family, arguments.directory, 2 if arguments.quick else None)
        print(json.dumps(report, indent=1))
        return
    if are_specs(arguments.directory):
        print(json.dumps(compare_specs(family, arguments.directory, 2 if arguments.quick else None), indent=1))
        return
    latents: dict[str, np.ndarray] = {}
    report = compare(family, arguments.directory, 2 if arguments.quick else None, latents=latents)
    if not arguments.quick and "null_text" in cases_of(arguments.directory):
        report["null_text"] = compare_null_text(family, arguments.directory)
    if arguments.save:
        np.savez_compressed(arguments.save, allow_pickle=False, **latents)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
