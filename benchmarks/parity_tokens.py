"""Parity of a model that draws tokens: `benchmarks.parity` runs it where the folder's model is one.

A token is right or wrong, so they are counted: those of every step's grid, its blend included. Logits of the last step
are compared by their relative L2. The case "inversion" is a photo's: the tokens of a picture, and an edit of it.
"""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.golden_cases import relative_l2, spec_of
from p2p.edit import edit_again_steps, edit_steps
from p2p.families.base import ModelFamily
from p2p.inversion import invert
from p2p.samplers.token_noise import drawn_of
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec

#: The fields that are read, and those that only inform, of a folder, of a case, and of the photo's.
OF_FOLDER = {
    "steps",
    "guidance_scale",
    "seed",
    "height",
    "width",
    "dtype",
    "temperature",
    "compat",
    "cases",
    "inversion",
}
OF_CASE = {
    "name", "kind", "prompts", "equalizer", "cross_replace_steps", "self_replace_steps", "local_blend", "order",
    "method",
}  # fmt: skip
INFORMING = {
    "family", "versions", "least_margin", "share_of_tokens_changed_by_the_control", "share_of_tokens_unlike_the_source",
}  # fmt: skip


def cases_of(directory: Path) -> dict:
    """A folder's cases.

    Raises:
        ValueError: they have a field that is not read here, and would be run as something else.
    """
    cases = json.loads((directory / "cases.json").read_text())
    for known, said in [(OF_FOLDER, cases), *((OF_CASE, case) for case in [*cases["cases"], cases["inversion"]])]:
        if unknown := sorted(said.keys() - known - INFORMING):
            where = said.get("name", directory)
            raise ValueError(f"{where}: {', '.join(unknown)} is not a field that benchmarks.parity reads: teach it")
    if (cases["dtype"], cases["temperature"], cases["compat"]) != ("float32", [2, 0], "reference"):
        raise ValueError(f"{directory}: float32, temperatures from 2 to 0 and reference are compared, and nothing else")
    return cases


def compare_tokens(family: ModelFamily, directory: Path, most: int | None = None) -> dict[str, Any]:
    """How many tokens of every case, or of the first `most` ones, are not the expected ones, and how far logits are."""
    cases, expected = cases_of(directory), np.load(directory / "expected.npz")
    report = {}
    for case in cases["cases"][:most]:
        found = _Run(family, edit_steps(_spec(case, cases), family))
        report[case["name"]] = found.against(case["name"], expected)
    if most is None:
        report["inversion"] = _photo(family, cases, expected)
    return {
        "cases": report,
        "noise_is_the_seeds": _noise_is_the_seeds(cases, expected),
        "tokens_that_differ": sum(case["tokens_that_differ"] for case in report.values()),
        "worst_relative_l2": max(case["relative_l2"] for case in report.values()),
    }


def _spec(case: dict, cases: dict) -> EditSpec:
    spec = spec_of(case, cases["steps"], cases["guidance_scale"])
    further = {name: cases[name] for name in ("seed", "height", "width")} | {"order": case.get("order", "own")}
    return spec.model_copy(update={"sampling": spec.sampling.model_copy(update=further)})


def _photo(family: ModelFamily, cases: dict, expected: Any) -> dict[str, Any]:
    """The same of the edit of a photo's tokens, whose source's row must be the photo."""
    spec = _spec(cases["inversion"], cases)
    tokens = torch.from_numpy(expected["inversion/picture"]).long()[None, None]
    trajectory = invert(tokens, spec.source.prompt, family, method="edit_friendly", sampling=spec.sampling).trajectory
    return _Run(family, edit_again_steps(spec, family, trajectory)).against("inversion", expected, "inversion/edited")


def _noise_is_the_seeds(cases: dict, expected: Any) -> bool:
    """Whether the seed gives the noise of the folder on this machine: `exponential_` may be another elsewhere."""
    wanted, stream = torch.from_numpy(expected["noise/exponential"]), torch.Generator().manual_seed(cases["seed"])
    steps, positions, codebook = wanted.shape  # of the first steps: the tests' copy has no more than one
    races = [drawn_of(stream, positions, codebook, last=step == cases["steps"] - 1).race for step in range(steps)]
    return bool(torch.equal(torch.stack(races), wanted))


class _Run:
    """A run to its end, with the grids of all steps and the logits of the last one."""

    def __init__(self, family: Any, steps: Generator[DenoisingStep, None, Any]) -> None:
        self.grids: list[Tensor] = []
        predict = family.predict

        def noted(*given: Any) -> Tensor:
            self.logits = predict(*given)
            return self.logits

        family.predict = noted
        try:
            for step in steps:
                self.grids.append(step.latents[:, 0].clone())
        finally:
            del family.predict

    def against(self, case: str, expected: Any, final: str | None = None) -> dict[str, Any]:
        grids = torch.from_numpy(expected[f"{case}/grids"]).long()
        last = torch.from_numpy(expected[final or case]).long()
        # Of the last rows: a photo's source is given without guidance, and the tests' copy has the last target's alone.
        rows = min(len(self.logits), len(expected[f"{case}/logits"]))
        rows = min(rows, len(self.grids[-1]) - 1) if final else rows
        wanted = torch.from_numpy(expected[f"{case}/logits"])[-rows:]
        return {
            "tokens_that_differ": int((self.grids[-1] != last).sum()),
            "tokens_that_differ_on_the_way": int((torch.stack(self.grids) != grids).sum()),
            "relative_l2": relative_l2(self.logits[-rows:], wanted),
        }
