"""The windows of a model's own, for targets that leave them out."""

from jobs.catalogue import ModelDefaults
from p2p.change.choosing import has_windows_of_model
from p2p.spec import EditSpec, Target

#: Fields of a target and of a model's defaults.
WINDOWS = ("cross_window", "self_window")


def with_windows(asked: EditSpec, complete: EditSpec, defaults: ModelDefaults) -> EditSpec:
    """A spec whose targets have the model's windows where they would have the usual ones and do not say them.

    Args:
        asked: as it was sent.
        complete: the same with everything chosen (`p2p.change.choosing.explicit`).
    """
    if all(getattr(defaults, name) is None for name in WINDOWS):
        return complete
    pairs, source = zip(asked.targets, complete.targets, strict=True), complete.source.prompt
    targets = tuple(windowed(source, said, target, defaults) for said, target in pairs)
    return complete.model_copy(update={"targets": targets})


def windowed(source: str, asked: Target, complete: Target, defaults: ModelDefaults) -> Target:
    """A complete target with the model's windows.

    Those of a kind of change that needs others stay, and so do those of edits that only turn words up or down.

    Args:
        source: the source's prompt.
        asked, complete: the target as of `with_windows`.
    """
    if not any(edit.aligns for edit in complete.edits or ()) or not _may_be_others(source, asked):
        return complete
    own = {name: window for name in WINDOWS if (window := getattr(defaults, name)) is not None}
    return complete.model_copy(update={name: own[name] for name in own if name not in asked.model_fields_set})


def _may_be_others(source: str, asked: Target) -> bool:
    """Whether a target's windows, where it says none, may be a model's own."""
    return has_windows_of_model(source, asked) if asked.edits is None else True
