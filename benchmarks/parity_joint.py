"""Parity of models whose words and pictures share one attention: `benchmarks.parity` runs it where the folder's is one.

Folders are of two kinds. Cases with a `target` are edits of words, and are compared with an oracle that writes every
attention matrix out; those with a `reference` are what the published method computes. Masks must be equal.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks.golden_cases import relative_l2, window
from p2p import blend
from p2p.edit import edit
from p2p.families.base import ModelFamily
from p2p.spec import EditSpec

#: The fields that are read, and those that only inform, of a folder, of a case, and of a case's `reference`.
OF_FOLDER = {"steps", "guidance_scale", "height", "width", "t5_tokens", "dtype", "cases"}
OF_CASE = {"name", "prompts", "target", "definition", "reference", "blocks_by_reference_number"}
OF_REFERENCE = {
    "method", "replace_steps", "replace_blocks", "aggregate_blocks", "local_blend_words", "local_blend_threshold",
    "local_blend_steps", "local_blend_n_prev_steps", "tokenizer_choice",
}  # fmt: skip
INFORMING = {
    "family", "noise_seed", "noise_floor", "distance_to_uncontrolled_target", "distance_target_to_source", "mask_share",
    "mask_margin", "token_positions", "mask_equal_fused", "mask_equal_with_explicit_attention",
}  # fmt: skip


def cases_of(directory: Path) -> dict:
    """A folder's cases.

    Raises:
        ValueError: they have a field that is not read here, and would be run as something else.
    """
    cases = json.loads((directory / "cases.json").read_text())
    references = [case["reference"] for case in cases["cases"] if case.get("reference")]
    everything = [
        (OF_FOLDER, cases),
        *((OF_CASE, case) for case in cases["cases"]),
        *((OF_REFERENCE, each) for each in references),
    ]
    for known, said in everything:
        if unknown := sorted(said.keys() - known - INFORMING):
            where = said.get("name", directory)
            raise ValueError(f"{where}: {', '.join(unknown)} is not a field that benchmarks.parity reads: teach it")
    if cases["dtype"] != "float32":
        raise ValueError(f"{directory}: made in {cases['dtype']}, and the sampler is compared in float32")
    return cases


def compare_joint(family: Any, directory: Path, most: int | None = None) -> dict[str, Any]:
    """How far every case's final latents, or the first `most` ones', are from the expected, and masks that differ."""
    cases, expected = cases_of(directory), np.load(directory / "expected.npz")
    *others, _ = family.tokenizer.segments
    whole = family.tokenizer
    family.read_by(whole.limited([*(segment.limit for segment in others), cases["t5_tokens"]]))
    try:
        report = {case["name"]: _compared(family, case, cases, expected) for case in cases["cases"][:most]}
    finally:
        family.read_by(whole)
    return {
        "cases": report,
        "cells_of_masks_that_differ": sum(case["cells_that_differ"] for case in report.values()),
        "worst_relative_l2": max(case["relative_l2"] for case in report.values()),
    }


def _compared(family: ModelFamily, case: dict, cases: dict, expected: Any) -> dict[str, Any]:
    with _noted_masks() as masks:
        result = edit(_spec(family, case, cases), family, noise=torch.from_numpy(expected["latent"]))
    wanted = torch.from_numpy(expected[case["name"]])
    # The tests' copies have the targets alone: the source is never changed.
    found = result.latents[-len(wanted) :]
    return {
        "relative_l2": relative_l2(found, wanted),
        "max_abs": (found - wanted).abs().max().item(),
        "cells_that_differ": _differing(case["name"], masks, expected),
    }


def _differing(name: str, masks: list[Tensor], expected: Any) -> int:
    """Cells of the masks of a case's blends that are not as expected; positions of two by two cells where it has those.

    Words' cases have the last step's mask, the published method's those of every blended step.
    """
    if f"{name}/mask" in expected:
        return int((masks[-1] != torch.from_numpy(expected[f"{name}/mask"])).sum())
    if f"{name}/masks" not in expected:
        return 0
    wanted = torch.from_numpy(expected[f"{name}/masks"])
    # Outside of its steps a blend leaves the target as it is.
    blended = [mask for mask in masks if not mask.all()]
    found = torch.stack([mask[0] for mask in blended])
    if wanted.ndim == 2:
        found = found[:, ::2, ::2].flatten(1)
    return int((found != wanted.reshape(found.shape)).sum()) if len(found) == len(wanted) else found.numel()


@contextmanager
def _noted_masks() -> Iterator[list[Tensor]]:
    """The masks of all steps' blends, as they are made."""
    noted: list[Tensor] = []

    def mask(*given: Any) -> Tensor:
        noted.append(_BLEND_MASK(*given))
        return noted[-1]

    with patch.object(blend, "blend_mask", mask):
        yield noted


_BLEND_MASK = blend.blend_mask


def _spec(family: ModelFamily, case: dict, cases: dict) -> EditSpec:
    """A golden case as a public spec."""
    source, prompt = case["prompts"]
    said: dict[str, Any] = {
        "source": {"prompt": source},
        "sampling": {name: cases[name] for name in ("steps", "guidance_scale", "height", "width")},
        "artifacts": {"heatmaps": False, "raw_maps": False},
    }
    if "target" in case:
        said["targets"] = [{"prompt": prompt, **case["target"], "mass": case["definition"]}]
    else:
        target, reference = _published(family, case)
        said |= {"targets": [{"prompt": prompt, "edits": [], **target}], **reference}
    return EditSpec.model_validate(said)


def _published(family: ModelFamily, case: dict) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The arguments of the published code, as they are said here: of the target and of the spec."""
    given = case["reference"]
    if given is None:
        return {}, {}
    blocks = {site.name: site.block for site in family.attention_sites()}
    by_number = {
        int(number): next(block for site, block in blocks.items() if site.startswith(f"{name}.attn."))
        for number, name in case["blocks_by_reference_number"].items()
    }
    said: dict[str, Any] = {"method": given["method"], "steps": window(given["replace_steps"])}
    for theirs, ours in (("replace_blocks", "blocks"), ("aggregate_blocks", "read_blocks")):
        if theirs in given:
            said[ours] = [by_number[number] for number in given[theirs]]
    target: dict[str, Any] = {}
    if "local_blend_words" in given:
        said["blend_steps"] = window(given.get("local_blend_steps", 0.5))
        said["blended_steps"] = given.get("local_blend_n_prev_steps")
        said["tokenizer"] = given.get("tokenizer_choice", "both")
        named = [[{"word": word} for word in words] for words in given["local_blend_words"]]
        threshold = given.get("local_blend_threshold", 0.3)
        target["local_blend"] = {"source_words": named[0], "words": named[1], "threshold": threshold}
    return target, {"compat": "reference", "reference": said}
