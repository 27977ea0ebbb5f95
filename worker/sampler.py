"""The resident model as the engine uses it: an edit in, steps and a result out, from a kept source if there is one.

A picture that was not generated is inverted first; its run is a kept source like any other.
"""

import logging
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Protocol

from PIL import Image

from p2p.cohort.cohort import Cohort
from p2p.cohort.turn import Turn
from p2p.edit import EditResult, WordMap
from p2p.families.base import ModelFamily
from p2p.inversion import InversionResult, described, invert_steps
from p2p.inversion.encode import encoded
from p2p.inversion.fidelity import Fidelity, fidelity
from p2p.inversion.source_run import InversionStep
from p2p.preparation import sampler_of
from p2p.previews import preview
from p2p.sampling import DenoisingStep
from p2p.spec import Direct, EditSpec
from p2p.tokens import tokenize
from p2p.trajectory import Trajectory, key_of
from worker.events import Waiting
from worker.runs_in_cohort import Stepped, joined_run

log = logging.getLogger(__name__)


class Sampler(Protocol):
    """What can run specs."""

    def source_of(self, spec: EditSpec) -> str:
        """The digest of all that determines a spec's source."""

    def inversion_of(self, spec: EditSpec, picture: Image.Image) -> str:
        """The digest of all that determines the run of a spec's picture."""

    def invert(self, spec: EditSpec, picture: Image.Image) -> Generator[InversionStep, None, InversionResult]:
        """Every step of finding that run; returns the run."""

    def fidelity(self, picture: Image.Image, trajectory: Trajectory) -> Fidelity:
        """How faithfully a picture comes back from its run."""

    def source_alone(self, spec: EditSpec, trajectory: Trajectory, picture: Image.Image) -> EditResult:
        """A kept source as the result of a run without edits; `picture` is what it comes back as."""

    def finishing_steps(self, spec: EditSpec) -> int:
        """How many steps of one of a spec's runs follow its last one, to make its pictures larger."""

    def steps(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        """Every step of a run, and its share of each turn; returns one result for each of the spec's seeds.

        Args:
            kept: the source's run, where it is known already; of a spec of one seed.
            masks: those that the spec's blends name, of the model's size.
        """

    def preview(self, step: DenoisingStep) -> Sequence[Image.Image]:
        """A small picture of each row as a step foretells it, before the next one."""


class ModelSampler:
    """`Sampler` over a loaded model."""

    def __init__(self, family: ModelFamily) -> None:
        self._family = family
        self._processors = {name: layer.processor for name, layer in family.attention_layers.items()}

    def source_of(self, spec: EditSpec) -> str:
        return key_of(spec, self._family, sampler_of(spec, self._family))

    def inversion_of(self, spec: EditSpec, picture: Image.Image) -> str:
        asked = spec.inversion or Direct()
        inverted = described(picture, asked.method, asked.settings, self._family.state)
        return key_of(spec, self._family, sampler_of(spec, self._family), inverted)

    def invert(self, spec: EditSpec, picture: Image.Image) -> Generator[InversionStep, None, InversionResult]:
        self._make_sure_it_is_whole()
        asked = spec.inversion or Direct()
        return invert_steps(
            picture,
            spec.source.prompt,
            self._family,
            method=asked.method,
            sampling=spec.sampling,
            settings=asked.settings,
            loras=spec.loras,
        )

    def fidelity(self, picture: Image.Image, trajectory: Trajectory) -> Fidelity:
        # Encoded again rather than kept: an inversion that was kept has the same figures on this machine as on that
        # which made it, up to rounding, and its file holds nothing that could contradict it.
        latents = encoded(picture, self._family)
        return fidelity(
            picture,
            InversionResult(trajectory=trajectory, latents=latents, unet_evaluations=0, unet_gradients=0, seconds={}),
            self._family,
        )

    def source_alone(self, spec: EditSpec, trajectory: Trajectory, picture: Image.Image) -> EditResult:
        prompt, means = tokenize(spec.source.prompt, self._family.tokenizer), trajectory.maps.float().mean(0)
        maps = tuple(
            WordMap(word.word, word.occurrence, word.tokens, means[list(word.tokens)].sum(0).cpu().numpy())
            for word in prompt.words()
        )
        return EditResult(
            images=(picture,),
            latents=trajectory.latents[-1:],
            prompts=(prompt,),
            maps=(maps,) if spec.artifacts.any_maps else (),
            noise=trajectory.noise,
            seconds={},
            trajectory=trajectory,
            scheduler=sampler_of(spec, self._family).name,
            loras=tuple(self._family.loras.digests(spec.loras)),
        )

    def finishing_steps(self, spec: EditSpec) -> int:
        return self._family.finishing(spec.sampling.height, spec.sampling.width).steps

    def steps(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        self._make_sure_it_is_whole()
        with Cohort(self._family) as cohort:
            return (yield from joined_run(cohort, partial(_own_turn, cohort), spec, kept, masks))

    def preview(self, step: DenoisingStep) -> Sequence[Image.Image]:
        return preview(step, self._family)

    def _make_sure_it_is_whole(self) -> None:
        """Puts the model's own attention back where anything else was left in it, and says so: that is a bug."""
        for name, layer in self._family.attention_layers.items():
            if layer.processor is not self._processors[name]:
                log.error("%s was not the model's own attention: an earlier job left it behind", name)
                layer.set_processor(self._processors[name])


def _own_turn(cohort: Cohort) -> Generator[Waiting, None, tuple[Turn, int]]:
    """The next turn of a cohort that is one job's alone: it waits for nobody."""
    yield from ()
    return cohort.turn(), 1
