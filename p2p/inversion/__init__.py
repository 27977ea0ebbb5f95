"""Inversions by name: a picture and its prompt in, the `Trajectory` of a source out that edits reuse.

A new one is a file beside this, and a row of `INVERSIONS`, `OF_TOKENS` or `OF_FLOWS`: by the models that it is for.
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor

from p2p.errors import UnsupportedInversion, UnsupportedPicture
from p2p.families.base import ModelFamily
from p2p.inversion import hindsight
from p2p.inversion.ddim import ddim
from p2p.inversion.direct import direct
from p2p.inversion.edit_friendly import edit_friendly
from p2p.inversion.encode import checked, digest_of, encoded
from p2p.inversion.negative_prompt import negative_prompt
from p2p.inversion.null_text import null_text
from p2p.inversion.source_run import Found, InversionStep, SourceRun
from p2p.inversion.straight import straight
from p2p.preparation import ordered, with_defaults
from p2p.spec import METHODS, LoraUse, Sampling, State
from p2p.spec.states import no_inversion
from p2p.stepping import result_of
from p2p.tokens import tokenize
from p2p.trajectory import Inverted, Trajectory, inverted_key

Method = Callable[..., Generator[InversionStep, None, Found]]


@dataclass(frozen=True)
class Inversion:
    """A way to find a picture's trajectory.

    Attributes:
        find: of a `SourceRun` and the picture's latents (1, channels, height, width), and settings by name.
        sampling: the fields of `p2p.spec.Sampling` on which what it finds depends. An edit of it may differ from it in
            the others: one direct inversion serves every guidance scale.
    """

    find: Method
    sampling: tuple[str, ...]


GUIDED = ("steps", "guidance_scale", "negative_prompt")

INVERSIONS: Mapping[str, Inversion] = {
    "direct": Inversion(direct, ("steps",)),
    "ddim": Inversion(ddim, GUIDED),
    "null_text": Inversion(null_text, GUIDED),
    "negative_prompt": Inversion(negative_prompt, ("steps", "negative_prompt")),
    "edit_friendly": Inversion(edit_friendly, (*GUIDED, "seed")),
}
#: Of models that draw tokens. Which positions of a photo stay masked depends on guidance and seed with both.
OF_TOKENS: Mapping[str, Inversion] = {
    "direct": Inversion(hindsight.direct, (*GUIDED, "seed")),
    "edit_friendly": Inversion(hindsight.edit_friendly, (*GUIDED, "seed")),
}
#: Of flows. A guidance scale that is the network's input changes its velocity.
OF_FLOWS: Mapping[str, Inversion] = {
    "direct": Inversion(direct, ("steps", "guidance_scale")),
    "straight": Inversion(straight, (*GUIDED, "seed")),
    "edit_friendly": Inversion(edit_friendly, (*GUIDED, "seed")),
}
OF_STATE: Mapping[State, Mapping[str, Inversion]] = {"latents": INVERSIONS, "tokens": OF_TOKENS, "flows": OF_FLOWS}
DEFAULT = "direct"


@dataclass(frozen=True, eq=False, kw_only=True)
class InversionResult:
    """An inversion's outcome.

    Attributes:
        trajectory: for `p2p.edit.edit_again_steps`; its source's picture is the reconstruction.
        latents: (1, channels, height, width), of the picture itself.
        unet_evaluations: rows that went through the UNet; a guided call counts two.
        unet_gradients: how many of them also came back as a gradient.
        seconds: of the parts "encode" and "invert".
    """

    trajectory: Trajectory
    latents: Tensor
    unet_evaluations: int
    unet_gradients: int
    seconds: dict[str, float]


def described(
    picture: Image.Image | Tensor,
    method: str = DEFAULT,
    settings: Mapping[str, Any] | None = None,
    state: State = "latents",
) -> Inverted:
    """What an inversion will say of itself: with `p2p.trajectory.inverted_key`, its key before it is made.

    Args:
        state: of the model's runs (`ModelFamily.state`).
    Raises:
        UnsupportedInversion: there is no such method, or it has no meaning for the model.
    """
    if method not in METHODS:
        raise UnsupportedInversion(f"{method!r} is not an inversion: use one of {', '.join(METHODS)}")
    if method not in OF_STATE[state]:
        raise UnsupportedInversion(no_inversion(state, method))
    return Inverted(
        method=method,
        picture=digest_of(picture),
        sampling=OF_STATE[state][method].sampling,
        settings=dict(settings or {}),
    )


def invert_steps(
    picture: Image.Image | Tensor,
    prompt: str,
    family: ModelFamily,
    *,
    method: str = DEFAULT,
    sampling: Sampling | None = None,
    settings: Mapping[str, Any] | None = None,
    loras: Sequence[LoraUse] = (),
) -> Generator[InversionStep, None, InversionResult]:
    """Inverts a picture: yields every `InversionStep`, and returns the `InversionResult`.

    Args:
        picture: RGB, of a size that the model draws; or its latents, (1, channels, height, width).
        prompt: what is in the picture, which edits then change.
        method: a row of the model's table in `OF_STATE`.
        sampling: steps, guidance scale, negative prompt and seed, as the edits will have them.
        settings: the method's own, by name ("inner_steps" and "tolerance" of null-text, "offset" of straight).
        loras: as the edits will have them.
    Raises:
        UnknownLora: the model does not offer one.
        UnsupportedInversion: no such method, or it cannot be done on this scheduler or with this sampling.
        UnsupportedPicture, UnsupportedSize: the model cannot take the picture as it is.
        PromptTooLong: a prompt has more tokens than the model reads.
        NotFinite: the model's values were not finite on the way.
    """
    with family.loras.applied(loras):
        return (yield from _inverted(picture, prompt, family, method, sampling or Sampling(), settings or {}, loras))


def _inverted(
    picture: Image.Image | Tensor,
    prompt: str,
    family: ModelFamily,
    method: str,
    sampling: Sampling,
    settings: Mapping[str, Any],
    loras: Sequence[LoraUse],
) -> Generator[InversionStep, None, InversionResult]:
    began = time.perf_counter()
    inverted = described(picture, method, settings, family.state)
    sampling = with_defaults(sampling)
    for text in (prompt, sampling.negative_prompt):
        tokenize(text, family.tokenizer)
    shape = _shape_of(picture, family)
    sampler = family.sampler(cast(int, sampling.steps), sampling.scheduler, shape, **ordered(sampling))
    source = SourceRun(
        family,
        sampler,
        prompt,
        negative_prompt=sampling.negative_prompt,
        guidance_scale=cast(float, sampling.guidance_scale),
        seed=cast(int, sampling.seed),
    )
    inversion = OF_STATE[family.state][method]
    if METHODS[method].resamples:
        source.way.require_exact()
    latents = _latents_of(picture, family, sampling)
    was_encoded = time.perf_counter()
    path = yield from inversion.find(source, latents, **settings)
    learned = None if path.unconditional is None else path.unconditional.context
    for found in (path.noise, path.latents, learned, path.step_noise, path.offset):
        if found is not None:
            source.watch.note(found)
    source.watch.require()
    return InversionResult(
        trajectory=Trajectory(
            key=inverted_key(prompt, sampling, latents.shape[1:], family, sampler, inverted, loras),
            noise=path.noise,
            latents=path.latents,
            maps=torch.stack(source.maps.of_source_by_step),
            unconditional=path.unconditional,
            step_noise=path.step_noise,
            offset=path.offset,
            inverted=inverted,
        ),
        latents=latents,
        unet_evaluations=source.evaluations,
        unet_gradients=source.gradients,
        seconds={"encode": was_encoded - began, "invert": time.perf_counter() - was_encoded},
    )


def invert(
    picture: Image.Image | Tensor,
    prompt: str,
    family: ModelFamily,
    *,
    method: str = DEFAULT,
    sampling: Sampling | None = None,
    settings: Mapping[str, Any] | None = None,
    loras: Sequence[LoraUse] = (),
) -> InversionResult:
    """Inverts a picture to the end; see `invert_steps`."""
    steps = invert_steps(picture, prompt, family, method=method, sampling=sampling, settings=settings, loras=loras)
    return result_of(steps)


def _shape_of(picture: Image.Image | Tensor, family: ModelFamily) -> Sequence[int]:
    """Channels, height and width of a picture's latents."""
    return picture.shape[1:] if isinstance(picture, Tensor) else family.latent_shape(picture.height, picture.width)


def _latents_of(picture: Image.Image | Tensor, family: ModelFamily, sampling: Sampling) -> Tensor:
    """(1, channels, height, width), of the size that the sampling asks for, if it asks for one."""
    latents = encoded(picture, family) if isinstance(picture, Image.Image) else checked(picture, family)
    asked = family.latent_shape(sampling.height, sampling.width)
    if (sampling.height or sampling.width) and asked != tuple(latents.shape[1:]):
        raise UnsupportedPicture(
            f"the picture's latents are {tuple(latents.shape[1:])} and the sampling asks for {asked}: "
            "give a picture of the size that is asked for"
        )
    return latents
