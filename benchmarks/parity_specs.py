"""Golden folders whose cases are public specs, and whose outputs are those of an oracle by explicit probabilities."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.golden_cases import relative_l2
from p2p.edit import edit
from p2p.families.base import ModelFamily
from p2p.spec import EditSpec

#: The fields that are read: of a folder, and of a case. The others of a folder are settings of its family.
OF_FOLDER = {"levels", "cases"}
OF_CASE = {"name", "spec"}


def are_specs(directory: Path) -> bool:
    """Whether a folder's cases are public specs."""
    return all("spec" in case for case in json.loads((directory / "cases.json").read_text())["cases"])


def cases_of(directory: Path, settings: Mapping[str, Any]) -> dict:
    """A folder's cases.

    Args:
        settings: the fields of a folder that its family has settings for.
    Raises:
        ValueError: they have a field that is not read here, and would be run as something else.
    """
    cases = json.loads((directory / "cases.json").read_text())
    known = OF_FOLDER | settings.keys()
    for fields, said in [(known, cases), *((OF_CASE, case) for case in cases["cases"])]:
        if unknown := sorted(said.keys() - fields):
            where = said.get("name", directory)
            raise ValueError(f"{where}: {', '.join(unknown)} is not a field that benchmarks.parity reads: teach it")
    return cases


def compare_specs(family: ModelFamily, directory: Path, most: int | None = None) -> dict[str, Any]:
    """The distance of every case's final latents, or of the first `most` ones', from the expected ones.

    Raises:
        ValueError: the family reads maps or carries self-attention over at other levels than the oracle.
    """
    settings = getattr(family, "settings", {})
    cases, expected = cases_of(directory, settings), np.load(directory / "expected.npz")
    sites = family.attention_sites()
    at = {"maps": family.map_factor, "self_attention": min(site.factor for site in sites if site.is_carried)}
    finest = min(site.factor for site in sites)
    if at != {"maps": cases["levels"]["maps"], "self_attention": max(finest, cases["levels"]["self_attention"])}:
        raise ValueError(f"{directory}: its levels are {cases['levels']}, and the family's are {at}")
    settings.update({name: cases[name] for name in settings if name in cases})
    report = {}
    for case in cases["cases"][:most]:
        result = edit(EditSpec.model_validate(case["spec"]), family)
        wanted = torch.from_numpy(expected[case["name"]])
        report[case["name"]] = {
            "relative_l2": relative_l2(result.latents, wanted),
            "max_abs": (result.latents - wanted).abs().max().item(),
        }
    return {"cases": report, "worst_relative_l2": max(case["relative_l2"] for case in report.values())}
