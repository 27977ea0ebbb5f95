"""The windows of a model's own, for targets that leave them out."""

from collections.abc import Mapping

from jobs.catalogue import ModelDefaults
from p2p.spec import EditSpec, StepWindow, Target

#: Fields of a target and of a model's defaults, and the usual window of each.
USUAL: Mapping[str, StepWindow] = {name: Target.model_fields[name].default for name in ("cross_window", "self_window")}


def with_windows(asked: EditSpec, complete: EditSpec, defaults: ModelDefaults) -> EditSpec:
    """A spec whose targets have the model's windows where they have the usual ones and do not say them.

    Args:
        asked: as it was sent.
        complete: the same with everything chosen (`p2p.change.choosing.explicit`).
    """
    if all(getattr(defaults, name) is None for name in USUAL):
        return complete
    pairs = zip(asked.targets, complete.targets, strict=True)
    return complete.model_copy(update={"targets": tuple(windowed(said, target, defaults) for said, target in pairs)})


def windowed(asked: Target, complete: Target, defaults: ModelDefaults) -> Target:
    """A complete target with the model's windows.

    Those of a kind of change that needs others stay, and so do those of edits that only turn words up or down: the
    model's were measured in place of the usual ones alone.
    """
    unsaid = [name for name in USUAL if name not in asked.model_fields_set]
    usual = all(getattr(complete, name) == USUAL[name] for name in unsaid)
    if not usual or not any(edit.aligns for edit in complete.edits or ()):
        return complete
    own = {name: window for name in unsaid if (window := getattr(defaults, name)) is not None}
    return complete.model_copy(update=own)
