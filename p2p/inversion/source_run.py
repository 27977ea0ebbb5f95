"""The source's row by itself: what the model makes of it at any step, and where its words act."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled, PairRows
from p2p.attention.installing import controlled
from p2p.attention.maps import AttentionMaps
from p2p.families.base import ModelFamily
from p2p.families.conditioning import Conditioning
from p2p.families.encoded import Encoded
from p2p.finite import FiniteWatch
from p2p.plan import EditPlan
from p2p.samplers.base import Sampler


@dataclass(frozen=True)
class InversionStep:
    """A part of an inversion that is done.

    Attributes:
        index: from 0, rising; may skip some where an optimisation ends early.
        num_steps: of the whole inversion; the last step's index is one less.
    """

    index: int
    num_steps: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """What an inversion finds, as `p2p.trajectory.Trajectory` holds it.

    Attributes:
        noise: (1, channels, height, width), where the source starts.
        latents: (steps, channels, height, width), the source after each step.
        unconditional: what edits are guided away from, one row or one for each step; None for their own.
        step_noise: (steps, channels, height, width), what is added at each step; None for nothing.
        offset: (steps, channels, height, width), what edits are moved by after each step; None for nothing.
    """

    noise: Tensor
    latents: Tensor
    unconditional: Encoded | None = None
    step_noise: Tensor | None = None
    offset: Tensor | None = None


class SourceRun:
    """A source's prompt on a model, and a count of what it costs.

    Attributes:
        text, unconditional: of the prompt and of the negative prompt, one row each.
        way: what the sampler gives inversions (`Sampler.way_back`).
        maps: of the steps that were read, in their order.
        watch: whether everything was finite so far.
        evaluations: rows that went through the UNet: a guided call counts two.
        gradients: how many of them came back as a gradient.

    Raises:
        UnsupportedInversion: the sampler's steps have no inverse.
    """

    def __init__(
        self,
        family: ModelFamily,
        sampler: Sampler,
        prompt: str,
        *,
        negative_prompt: str = "",
        guidance_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.way = sampler.way_back()
        self.family, self.sampler, self.num_steps = family, sampler, sampler.num_steps
        self.negative_prompt, self.guidance_scale, self.seed = negative_prompt, guidance_scale, seed
        self.text = family.encode_prompts([prompt])
        self.unconditional = family.encode_negative(negative_prompt)
        self.maps = AttentionMaps()
        self.watch = FiniteWatch("the latents of the picture's inversion")
        self.evaluations = self.gradients = 0
        self._controls: dict[int, tuple[AttentionControl, Mapping]] = {}
        self.is_guided = family.guides(guidance_scale)
        self._conditional = self._alone(self.text)
        self._guided = self._conditional
        if self.is_guided:
            both = [(negative_prompt, self.unconditional), (prompt, self.text)]
            self._guided = Conditioning.of(both, [guidance_scale], guided=[0])

    def plain(self, latents: Tensor, index: int, text: Encoded | None = None) -> Tensor:
        """The model's output at a step without guidance, for the prompt or any other encoded text."""
        conditioning = self._conditional if text is None else self._alone(text)
        self.evaluations += 1
        output = self.family.predict(latents, self.sampler.timestep(index), conditioning)
        self.watch.note(output)
        return output

    def read(self, latents: Tensor, index: int, *, guided: bool) -> Tensor:
        """The same, for the prompt, with or without guidance by the negative prompt; the step's word maps are noted."""
        conditioning = self._guided if guided else self._conditional
        control, processors = self._control(len(conditioning.prompts) - 1, latents)
        control.at_step(index)
        with controlled(self.family.attention_layers, processors):
            output = self.family.predict(latents, self.sampler.timestep(index), conditioning)
        control.end_step()
        self.evaluations += len(conditioning.prompts)
        self.watch.note(output)
        return output

    def differentiable(self, latents: Tensor, index: int, text: Encoded) -> Tensor:
        """The model's output without guidance, with a gradient to the context of `text`."""
        self.evaluations += 1
        self.gradients += 1
        return self.family.predict_differentiable(latents, self.sampler.timestep(index), text)

    def step(self, output: Tensor, index: int, latents: Tensor) -> Tensor:
        """Latents after a step of the sampler that adds no noise."""
        return self.sampler.step(output, index, latents, ())

    def _alone(self, text: Encoded) -> Conditioning:
        return Conditioning.of([(None, text)], [self.guidance_scale])

    def _control(self, unconditional: int, latents: Tensor) -> tuple[AttentionControl, Mapping]:
        if unconditional not in self._controls:
            plan = EditPlan.empty(self.num_steps, 0, self.text.context.shape[1])
            control = AttentionControl(
                [Controlled(plan, PairRows(0, ()), self.maps)],
                self.family.map_factor,
                (latents.shape[-2], latents.shape[-1]),
                unconditional=unconditional,
                device=self.family.device,
            )
            self._controls[unconditional] = control, self.family.attention_processors(control)
        return self._controls[unconditional]
