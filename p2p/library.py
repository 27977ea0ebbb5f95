"""The short way in: a model, two prompts, two pictures. `p2p.spec` and `p2p.edit` say what more there is.

from p2p.library import open_model
model = open_model("scenes/model")
source, dog = model.edit("a cat on a beach", "a dog on a beach").images
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from p2p.edit import EditResult, edit
from p2p.families import load
from p2p.families.base import ModelFamily
from p2p.layouts.model_files import ModelFiles
from p2p.seeds import drawn
from p2p.spec import DRAW, EditSpec
from p2p.words import find


@dataclass(frozen=True)
class OpenModel:
    """A model that is loaded."""

    family: ModelFamily

    def edit(
        self,
        source: str,
        *prompts: str,
        blend: str | None = None,
        weights: Mapping[str, float] | None = None,
        **sampling: Any,
    ) -> EditResult:
        """Makes the source's picture and its edits, one for each further prompt, in one run.

        What each prompt changes is read from its words, and how it is run is chosen by that (`p2p.change`). A prompt of
        the same words is turned up or down by `weights` alone.

        Args:
            blend: a word; of the pictures whose prompt holds it, everything outside its region stays as it is. Where
                absent, the region is chosen.
            weights: how strongly words act, in the pictures whose prompts hold them.
            sampling: fields of `p2p.spec.Sampling`, such as seed, steps and guidance_scale. The seed is 0 where it is
                absent, so that the same call gives the same pictures; -1 draws one, and the result's `seed` says which.
        Raises:
            ValueError: no prompt holds a word that `blend` or `weights` names.
            pydantic.ValidationError: the prompts cannot be edited into each other so, as where nothing changes.
            P2PError: the model cannot do it.
        """
        for word in [*([] if blend is None else [blend]), *(weights or {})]:
            if not any(find(prompt, word) for prompt in prompts):
                raise ValueError(f"{word!r} is in none of the edited prompts: name a word as it is written there")
        targets = [_target(prompt, blend, weights or {}) for prompt in prompts]
        spec = EditSpec.model_validate({"source": {"prompt": source}, "targets": targets, "sampling": sampling})
        return edit(drawn(spec) if spec.sampling.seed == DRAW else spec, self.family)


def open_model(
    path: str | ModelFiles,
    family: str = "stable_diffusion",
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> OpenModel:
    """A model from a folder, by its hub id at a revision, or of further files: a single file, LoRAs, learned words.

    Raises:
        UnsupportedModel: no such family, or the model cannot be controlled.
    """
    return OpenModel(load(family, path, revision=revision, device=device, dtype=dtype))


def _target(prompt: str, blend: str | None, weights: Mapping[str, float]) -> Mapping[str, Any]:
    """What a prompt asks for; the words that it holds of those that are named."""
    turned = [{"word": word, "weight": weight} for word, weight in weights.items() if find(prompt, word)]
    made: dict[str, Any] = {"prompt": prompt, "weights": turned}
    if blend is not None and find(prompt, blend):
        made["local_blend"] = {"words": [{"word": blend}]}
    return made
