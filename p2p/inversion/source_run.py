"""The source's row by itself: what the model makes of it at any step, and where its words act."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled, PairRows, controlled
from p2p.attention.maps import AttentionMaps
from p2p.families.base import Conditioning, ModelFamily
from p2p.finite import FiniteWatch
from p2p.inversion.schedule import check
from p2p.plan import EditPlan


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
        unconditional: (1 or steps, tokens, channels), what edits are guided away from; None for their own.
        step_noise: (steps, channels, height, width), what is added at each step (DDIM with eta 1); None for nothing.
    """

    noise: Tensor
    latents: Tensor
    unconditional: Tensor | None = None
    step_noise: Tensor | None = None


class SourceRun:
    """A source's prompt on a model, and a count of what it costs.

    Attributes:
        text, unconditional: (1, tokens, channels), of the prompt and of the negative prompt.
        maps: of the steps that were read, in their order.
        watch: whether everything was finite so far.
        evaluations: rows that went through the UNet: a guided call counts two.
        gradients: how many of them came back as a gradient.

    Raises:
        UnsupportedInversion: the scheduler's steps have no inverse.
    """

    def __init__(
        self,
        family: ModelFamily,
        scheduler: DDIMScheduler,
        prompt: str,
        *,
        negative_prompt: str = "",
        guidance_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        check(scheduler)
        self.family, self.scheduler, self.num_steps = family, scheduler, len(scheduler.timesteps)
        self.negative_prompt, self.guidance_scale, self.seed = negative_prompt, guidance_scale, seed
        self.text = family.encode_prompts([prompt])
        self.unconditional = family.encode_prompts([negative_prompt])
        self.maps = AttentionMaps()
        self.watch = FiniteWatch("the latents of the picture's inversion")
        self.evaluations = self.gradients = 0
        self._controls: dict[int, tuple[AttentionControl, Mapping]] = {}
        self._conditional = Conditioning(self.text, torch.ones(1), (0,))
        both = torch.cat([self.unconditional, self.text])
        is_guided = guidance_scale > 1
        self._guided = Conditioning(both, torch.tensor([guidance_scale]), (0, 1)) if is_guided else self._conditional

    @property
    def is_guided(self) -> bool:
        """Whether guidance adds anything: above 1."""
        return self.guidance_scale > 1

    def plain(self, latents: Tensor, index: int, text: Tensor | None = None) -> Tensor:
        """The model's output at a step without guidance, for the prompt or any other encoded text."""
        conditioning = self._conditional if text is None else Conditioning(text, torch.ones(1), (0,))
        self.evaluations += 1
        output = self.family.predict(latents, self.scheduler.timesteps[index], conditioning)
        self.watch.note(output)
        return output

    def read(self, latents: Tensor, index: int, *, guided: bool) -> Tensor:
        """The same, for the prompt, with or without guidance by the negative prompt; the step's word maps are noted."""
        conditioning = self._guided if guided else self._conditional
        control, processors = self._control(len(conditioning.prompts) - 1, latents)
        control.at_step(index)
        with controlled(self.family.attention_layers, processors):
            output = self.family.predict(latents, self.scheduler.timesteps[index], conditioning)
        control.end_step()
        self.evaluations += len(conditioning.prompts)
        self.watch.note(output)
        return output

    def differentiable(self, latents: Tensor, index: int, text: Tensor) -> Tensor:
        """The model's output without guidance, with a gradient to `text`."""
        self.evaluations += 1
        self.gradients += 1
        return self.family.predict_differentiable(latents, self.scheduler.timesteps[index], text)

    def step(self, output: Tensor, index: int, latents: Tensor) -> Tensor:
        """Latents after a step of the sampler that adds no noise."""
        return self.scheduler.step(output, self.scheduler.timesteps[index], latents, return_dict=False)[0]

    def _control(self, unconditional: int, latents: Tensor) -> tuple[AttentionControl, Mapping]:
        if unconditional not in self._controls:
            plan = EditPlan.empty(self.num_steps, 0, self.family.tokenizer.model_max_length)
            control = AttentionControl(
                [Controlled(plan, PairRows(0, ()), self.maps)],
                self.family.levels,
                (latents.shape[-2], latents.shape[-1]),
                unconditional=unconditional,
                device=self.family.device,
            )
            self._controls[unconditional] = control, self.family.attention_processors(control)
        return self._controls[unconditional]
