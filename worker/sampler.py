"""The resident model as the engine uses it: an edit in, steps and a result out, from a kept source if there is one."""

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol

from PIL import Image

from p2p.edit import EditResult, edit_again_steps, edit_steps
from p2p.families.base import ModelFamily
from p2p.preparation import shared_steps
from p2p.previews import preview
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec
from p2p.trajectory import Trajectory, key_of

log = logging.getLogger(__name__)


class Sampler(Protocol):
    """What can run specs."""

    def source_of(self, spec: EditSpec) -> str:
        """The digest of all that determines a spec's source."""

    def steps(self, spec: EditSpec, kept: Trajectory | None) -> Iterator[DenoisingStep | EditResult]:
        """Every step of a run, then one result for each of the spec's seeds.

        Args:
            kept: the source's run, where it is known already; of a spec of one seed.
        """

    def preview(self, step: DenoisingStep) -> Sequence[Image.Image]:
        """A small picture of each row as a step foretells it, before the next one."""


class ModelSampler:
    """`Sampler` over a loaded model."""

    def __init__(self, family: ModelFamily) -> None:
        self._family = family
        self._processors = {name: layer.processor for name, layer in family.attention_layers.items()}

    def source_of(self, spec: EditSpec) -> str:
        scheduler = self._family.scheduler(shared_steps([spec]), spec.sampling.scheduler)
        return key_of(spec, self._family, scheduler)

    def steps(self, spec: EditSpec, kept: Trajectory | None) -> Iterator[DenoisingStep | EditResult]:
        self._make_sure_it_is_whole()
        if kept is not None:
            return edit_again_steps(spec, self._family, kept)
        return edit_steps(spec, self._family, keep=spec.artifacts.trajectory)

    def preview(self, step: DenoisingStep) -> Sequence[Image.Image]:
        return preview(step, self._family)

    def _make_sure_it_is_whole(self) -> None:
        """Puts the model's own attention back where anything else was left in it, and says so: that is a bug."""
        for name, layer in self._family.attention_layers.items():
            if layer.processor is not self._processors[name]:
                log.error("%s was not the model's own attention: an earlier job left it behind", name)
                layer.set_processor(self._processors[name])
