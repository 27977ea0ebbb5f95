"""Everything that keeps a model's files from being loaded: one list for `models check` and for the workers.

A hub id's weights are not there yet when its files are checked: their names are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from p2p.errors import UnsupportedModel
from p2p.layouts import embeddings, loras, single_file
from p2p.layouts.base import Layout, Parts, Trouble, unhandled
from p2p.layouts.enlarging import wrong_stages
from p2p.layouts.files import SMALL_FILES, misplaced, parts_of
from p2p.layouts.hub import fetched, names
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.schedulers import SCHEDULER_CLASSES, Substitution, substitution
from p2p.layouts.weights import troubles, variant_missing, variant_of, variants_by_part, weighted
from p2p.spec import SchedulerName

_SCHEDULER = ("scheduler", "scheduler_config.json")


@dataclass(frozen=True)
class Described:
    """A model by its small files.

    Attributes:
        folder: where they are.
        on_hub: whether the weights are on the hub.
        own: its parts as the files describe them.
        parts: the same with the scheduler that runs.
        scheduler: that runs in the place of the model's own; None if that runs.
        substitution: the same, where nobody has asked for it.
    """

    folder: Path
    on_hub: bool
    own: Parts
    parts: Parts
    scheduler: SchedulerName | None
    substitution: Substitution | None


def described(layout: Layout, files: ModelFiles, scheduler: SchedulerName | None = None) -> Described:
    """A model by its small files; of a hub id they are fetched.

    Args:
        scheduler: that is to run in the place of the model's own.
    Raises:
        UnsupportedModel: there are none, or they cannot be read.
    """
    if trouble := misplaced(files):
        raise UnsupportedModel(str(trouble))
    is_fetched = is_hub_id(files.described_by, files.revision)
    folder = Path(files.described_by)
    if is_fetched:
        folder = fetched(files.described_by, files.revision or "main", SMALL_FILES)
    own = parts_of(folder)
    said = own.get("scheduler")
    instead = substitution(said.kinds, layout.kinds.get("scheduler", ())) if said and scheduler is None else None
    runs = scheduler or (instead.by if instead else None)
    parts = own
    if runs is not None and said is not None:
        parts = {**own, "scheduler": replace(said, kinds=(SCHEDULER_CLASSES[runs],))}
    return Described(folder, is_fetched and files.config is None, own, parts, runs, instead)


def is_hub_id(path: str, revision: str | None) -> bool:
    """Whether a path is no place on this machine. A models file says it by a revision."""
    return not Path(path).exists() and (revision is not None or not Path(path).is_absolute())


def names_of(files: ModelFiles, model: Described) -> Sequence[str]:
    """The paths of a model's files, within its folder or on the hub."""
    if model.on_hub:
        return names(files.path, files.revision or "main")
    return [path.relative_to(model.folder).as_posix() for path in model.folder.rglob("*") if path.is_file()]


def chosen_variant(layout: Layout, files: ModelFiles, model: Described) -> str | None:
    """The variant of the weights that are loaded; None for the plain ones."""
    if files.config is not None:
        return None
    return variant_of(names_of(files, model), weighted(layout, model.parts), files.variant)


def wrong(family: str, layout: Layout, files: ModelFiles, model: Described) -> Iterator[Trouble]:
    """Everything that keeps a model from being loaded, its LoRAs and textual inversions included."""
    yield from unhandled(family, layout, model.parts)
    if model.scheduler is not None and "scheduler" not in layout.kinds:
        yield Trouble(
            f"{model.scheduler} is to run in the place of a scheduler, and {family} has one for each of several parts",
            "take `scheduler` out",
        )
    if files.config is not None:
        for part, config in (*((part, "config.json") for part in weighted(layout, model.parts)), _SCHEDULER):
            if part in model.parts and not (model.folder / part / config).is_file():
                yield Trouble(f"{model.folder / part}, in `config`, has no {config}", "fetch the configurations again")
        yield from single_file.troubles(Path(files.path), layout, family, model.parts)
    elif model.on_hub:
        yield from _on_hub(files, names_of(files, model), weighted(layout, model.parts))
    else:
        yield from troubles(model.folder, weighted(layout, model.parts), files.variant)
    for path in (*(lora.path for lora in files.loras), *files.lora_choices.values()):
        yield from loras.troubles(Path(path), layout, family, model.parts)
    yield from wrong_stages(family, layout, files, model.parts)
    yield from _of_holding(family, layout, files)
    for embedding in files.embeddings:
        yield from embeddings.troubles(Path(embedding.path), layout, model.parts)


def _of_holding(family: str, layout: Layout, files: ModelFiles) -> Iterator[Trouble]:
    """What is wrong with how large networks are to be held."""
    if files.offload is not None and not layout.offloads:
        yield Trouble(f"`offload` is set, and networks of {family} stay on their device", "take `offload` out")
    if files.quantize is not None and layout.quantized is None:
        yield Trouble(f"`quantize` is set, and weights of {family} keep their precision", "take `quantize` out")
    if files.quantize is not None and (files.loras or files.lora_choices):
        yield Trouble("`quantize` is set, and LoRAs cannot be added to weights of eight bits", "take one of both out")
    if files.offload is not None and files.lora_choices:
        yield Trouble("`offload` is set, and LoRAs of requests are fused where networks stay", "take one of both out")


def _on_hub(files: ModelFiles, found: Sequence[str], parts: Sequence[str]) -> Iterator[Trouble]:
    if missing := [part for part, variants in variants_by_part(found, parts).items() if not variants]:
        yield Trouble(
            f"{files.path} has no safetensors of {' and '.join(missing)} at revision {files.revision}",
            "set `revision` to one that has them, or download and convert it",
        )
        return
    yield from variant_missing(f"{files.path} at revision {files.revision}", found, parts, files.variant)
