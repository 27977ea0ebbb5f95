"""Where a model's weights come from, settled before any is read: refused early, and without fetching gigabytes."""

import logging
from dataclasses import dataclass
from typing import Any

from p2p.errors import UnsupportedModel
from p2p.layouts import LAYOUTS
from p2p.layouts.base import Parts, require
from p2p.layouts.checks import chosen_variant, described, wrong
from p2p.layouts.model_files import ModelFiles
from p2p.schedulers import in_place_of_another
from p2p.spec import SchedulerName

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A model that its family handles, by its files.

    Attributes:
        files: a diffusers directory or hub id, or a single file with its configurations.
        config: the folder of a single file's configurations.
        variant: of the weights, as diffusers calls it; None for the plain ones.
        parts: as the files describe them.
        scheduler: that is to run in the place of the model's own, if any.
    """

    files: ModelFiles
    config: str | None
    variant: str | None
    parts: Parts
    scheduler: Any = None

    @property
    def arguments(self) -> dict[str, Any]:
        """What `from_pretrained` gets. Parts that are never used are not loaded, whether or not they are there."""
        # diffusers compares what it is given with the class that the files name, which it may not know (LMS without
        # scipy): the scheduler is put in afterwards.
        given = {} if self.scheduler is None else {"scheduler": None}
        return {"revision": self.files.revision, "variant": self.variant, "use_safetensors": True, **given}


def source_of(family: str, files: ModelFiles, scheduler: SchedulerName | None = None) -> Source:
    """The source of a model.

    Args:
        scheduler: one that is to run in the place of the model's own.
    Raises:
        UnsupportedModel: naming everything that its family does not handle, or what is wrong with its files.
    """
    layout = LAYOUTS[family]
    model = described(layout, files, scheduler)
    # First, and alone: no weights are looked for that the family could not use.
    require(family, layout, model.parts)
    if found := list(wrong(family, layout, files, model)):
        raise UnsupportedModel("; ".join(map(str, found)))
    made = None
    if model.scheduler is not None:
        made = in_place_of_another(model.own["scheduler"].config, model.scheduler)
    if model.substitution is not None:
        log.warning("%s", model.substitution)
    config = None if files.config is None else str(model.folder)
    return Source(files, config, chosen_variant(layout, files, model), model.parts, made)
