"""The loops that `benchmarks.sampler` compares: the plain pipeline's, ours, a re-edit's, and the explicit form's.

All run the same network object: same precision, threads, memory format and packed weights on every side.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from benchmarks.explicit import ExplicitAttention
from benchmarks.plain_flow import PlainFlow
from benchmarks.plain_inputs import plain_inputs
from benchmarks.plain_tokens import PlainTokens
from benchmarks.random_weights import random_pipeline
from benchmarks.random_weights_flows import random_flow_pipeline
from benchmarks.random_weights_xl import random_xl_pipeline
from p2p.attention.control import AttentionControl
from p2p.cohort.cohort import Cohort
from p2p.cohort.forward import Processors
from p2p.families import load
from p2p.families.amused import Amused
from p2p.families.flux import Flux
from p2p.families.packed import pack
from p2p.families.stable_diffusion import StableDiffusion
from p2p.families.stable_diffusion_3 import StableDiffusion3
from p2p.families.stable_diffusion_xl import StableDiffusionXL
from p2p.preparation import sampler_of
from p2p.sampling import noise_streams
from p2p.spec import EditSpec, State
from p2p.tokens import tokenize
from p2p.trajectory import Trajectory, key_of

#: Of the built-in models, whose loops are timed step by step, those that requests get.
STEPS = {"scenes": 20, "scenes-tokens": 12, "sd15": 50, "sd21": 50, "sdxl": 50, "flux": 50, "sd3": 50}
#: Shares of a run up to which words' and pixels' attention are carried over, where they are not a request's default:
#: the published method's for pixels, twice as long for words (`docs/families.md`).
WINDOWS = {"flux": (0.4, 0.2), "sd3": (0.4, 0.2)}
#: Models whose attention has no explicit form here: `tests/parity` has it, for tiny ones.
WITHOUT_ORACLE = frozenset({"flux", "sd3"})
COLOURS = ("red", "green", "blue", "yellow", "purple", "pink", "white")


OfLatents = StableDiffusion | StableDiffusionXL
Family = OfLatents | Amused | Flux | StableDiffusion3
#: The built-in models, by name: their families and folders.
BUILT_IN: Mapping[str, tuple[str, str]] = {
    "scenes": ("stable_diffusion", "scenes/model"),
    "scenes-tokens": ("amused", "scenes/tokens/model"),
}
#: Architectures with random weights, by name.
_RANDOM: Mapping[str, Callable[[torch.device], Family]] = {
    "sd15": lambda where: StableDiffusion(random_pipeline("sd15", where), "random"),
    "sd21": lambda where: StableDiffusion(random_pipeline("sd21", where), "random"),
    "sdxl": lambda where: StableDiffusionXL(random_xl_pipeline(where), "random"),
    "flux": lambda where: Flux(random_flow_pipeline("flux", where), "random"),
    "sd3": lambda where: StableDiffusion3(random_flow_pipeline("sd3", where), "random"),
}


def model(name: str, device: str = "cpu", *, compiled: bool = False) -> Family:
    """A built-in model in float32, or an architecture with random weights in bfloat16; made once."""
    return _made(name, device, compiled)


@cache  # by position: it would keep a second model for the same arguments given otherwise
def _made(name: str, device: str, compiled: bool) -> Family:
    where = torch.device(device)
    if name in BUILT_IN:
        family = cast(Family, load(*BUILT_IN[name], device=device))
    else:
        family = _RANDOM[name](where)
        pack(family.network)  # as `load` does
    if compiled:
        # Attention stays out of the graphs on both sides: a graph would hold one step's processors.
        for layer in family.attention_layers.values():
            layer.forward = torch.compiler.disable(layer.forward)
        family.network = torch.compile(family.network)
    return family


class Loop(Protocol):
    """What is timed and weighed: a run, a step at a time."""

    num_steps: int

    def step(self, index: int) -> Tensor: ...


def spec(name: str, size: int, edits: int, *, maps: bool) -> EditSpec:
    """The benchmark's edits; `maps` adds a local blend and all word maps."""
    windows: dict[str, Any] = {}
    if name in WINDOWS:
        cross, own = WINDOWS[name]
        windows = {"cross_window": {"stop": cross}, "self_window": {"stop": own}}
    targets = [
        windows
        | {
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

    @torch.no_grad()
    def __init__(self, family: OfLatents, made: EditSpec) -> None:
        self.family, self.scale = family, made.sampling.guidance_scale
        self.scheduler = _scheduler(family, made)
        self.num_steps = len(self.scheduler.timesteps)
        shape = family.latent_shape(made.sampling.height, made.sampling.width)
        size = shape[1] * family.scale_factor, shape[2] * family.scale_factor
        self.context, self.beside = plain_inputs(family.pipeline, made.prompts, size)
        noise = torch.randn((1, *shape), generator=torch.Generator().manual_seed(0))
        self.latents = noise.to(family.device, family.dtype).repeat(len(made.prompts), 1, 1, 1)

    @torch.no_grad()
    def step(self, index: int) -> Tensor:
        timestep = self.scheduler.timesteps[index]
        doubled = torch.cat([self.latents] * 2)
        output = self.family.network(doubled, timestep, self.context, **self.beside, return_dict=False)[0]
        without, with_text = output.chunk(2)
        prediction = without + self.scale * (with_text - without)
        self.latents = self.scheduler.step(prediction, timestep, self.latents, return_dict=False)[0]
        return self.latents


def _scheduler(family: OfLatents, made: EditSpec) -> Any:
    assert made.sampling.steps  # `spec` says them
    return family.scheduler(made.sampling.steps)


class Cohorts:
    """The sampler, with one job."""

    def __init__(
        self, family: Family, made: EditSpec, kept: Trajectory | None = None, processors: Processors | None = None
    ) -> None:
        self.cohort = Cohort(family, processors)
        self.member = self.cohort.join(made, kept=kept)
        self.num_steps = self.member.num_steps

    def step(self, index: int) -> Tensor:
        return self.cohort.turn().steps[self.member].latents


def oracle(family: Family, made: EditSpec) -> Cohorts:
    """The sampler with every attention matrix written out."""

    def explicit(control: AttentionControl) -> Mapping[str, Any]:
        (job,) = control.jobs
        return {site.name: ExplicitAttention(site, job, control.first, control) for site in family.attention_sites()}

    return Cohorts(family, made, processors=explicit)


def again(family: Family, made: EditSpec) -> Cohorts:
    """An edit of a kept source, whose latents and maps here are noise: what they hold changes no time."""
    sampler = sampler_of(made, family)
    shape = family.latent_shape(made.sampling.height, made.sampling.width)
    noise = sampler.start(shape, noise_streams(0, 1))
    source = Trajectory(
        key=key_of(made, family, sampler),
        noise=noise,
        latents=sampler.state(noise).expand(sampler.num_steps, -1, -1, -1),
        maps=torch.zeros(sampler.num_steps, tokenize(made.source.prompt, family.tokenizer).limit, *shape[1:]),
    )
    return Cohorts(family, made, source)


#: Of each kind of state.
PLAIN: Mapping[State, Callable[[Any, EditSpec], Loop]] = {"latents": Plain, "tokens": PlainTokens, "flows": PlainFlow}


def plain(family: Family, made: EditSpec) -> Loop:
    """The loop of the model's own pipeline."""
    return PLAIN[family.state](family, made)


VARIANTS: dict[str, Callable[[Family, EditSpec], Loop]] = {
    "plain": plain, "ours": Cohorts, "maps": Cohorts, "again": again, "oracle": oracle,
}  # fmt: skip


def loops_of(name: str, variants: Iterable[str]) -> list[str]:
    """Those of some variants that a model has."""
    return [variant for variant in variants if variant != "oracle" or name not in WITHOUT_ORACLE]
