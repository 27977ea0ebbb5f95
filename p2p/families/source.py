"""Where a model's weights come from, settled before any is read: refused early, and without fetching gigabytes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from p2p.errors import UnsupportedModel
from p2p.layouts import LAYOUTS
from p2p.layouts.base import Parts, require
from p2p.layouts.files import SMALL_FILES, parts_of
from p2p.layouts.hub import fetched, names
from p2p.layouts.schedulers import SCHEDULER_CLASSES
from p2p.layouts.weights import troubles, variant_of, weighted
from p2p.schedulers import in_place_of_another
from p2p.spec import SchedulerName


@dataclass(frozen=True)
class Source:
    """A model that its family handles, by its files.

    Attributes:
        path: a diffusers directory, or a hub id.
        revision: of a hub id.
        variant: of the weights, as diffusers calls it; None for the plain ones.
        parts: as the files describe them.
        scheduler: that is to run in the place of the model's own, if any.
    """

    path: str
    revision: str | None
    variant: str | None
    parts: Parts
    scheduler: Any = None

    @property
    def arguments(self) -> dict[str, Any]:
        """What `from_pretrained` gets. Parts that are never used are not loaded, whether or not they are there."""
        # diffusers compares what it is given with the class that the files name, which it may not know (LMS without
        # scipy): the scheduler is put in afterwards.
        given = {} if self.scheduler is None else {"scheduler": None}
        return {"revision": self.revision, "variant": self.variant, "use_safetensors": True, **given}


def source_of(family: str, path: str, revision: str | None, scheduler: SchedulerName | None = None) -> Source:
    """The source of a model.

    Args:
        scheduler: one that is to run in the place of the model's own.
    Raises:
        UnsupportedModel: naming everything that its family does not handle, or what is wrong with its files.
    """
    layout, on_hub = LAYOUTS[family], _is_hub_id(path, revision)
    folder = fetched(path, revision or "main", SMALL_FILES) if on_hub else Path(path)
    parts = parts_of(folder)
    made = None
    if scheduler is not None and "scheduler" in parts:
        own = parts["scheduler"].config
        made = in_place_of_another(own, scheduler)
        parts = {**parts, "scheduler": replace(parts["scheduler"], kinds=(SCHEDULER_CLASSES[scheduler],))}
    require(family, layout, parts)
    loaded = weighted(layout, parts)
    if on_hub:
        return Source(path, revision, variant_of(names(path, revision or "main"), loaded), parts, made)
    if found := list(troubles(folder, loaded)):
        raise UnsupportedModel("; ".join(map(str, found)))
    return Source(path, None, variant_of(_names(folder), loaded), parts, made)


def _is_hub_id(path: str, revision: str | None) -> bool:
    """Whether a path is no place on this machine. A models file says it by a revision."""
    return not Path(path).exists() and (revision is not None or not Path(path).is_absolute())


def _names(folder: Path) -> Sequence[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
