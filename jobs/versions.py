"""Which version of this program a job needs, so that an older worker gives it back rather than fails to read it.

A record says the version that its job needs and not the one that wrote it: while an installation is upgraded, older
workers go on with the jobs that use nothing new. A field that is added to a spec has its row here, and is left out of
what is written where it is not used (`exclude_if`).
"""

from collections.abc import Callable, Mapping

from p2p.spec import EditSpec, LocalBlend, Refine, Reweight, Straight, Target


def _fills(target: Target) -> bool:
    return any(isinstance(edit, Refine) and edit.filled_by is not None for edit in target.edits or ())


def _starts_afresh(target: Target) -> bool:
    return target.local_blend is not None and target.local_blend.fresh_noise


def _weighs_by_guidance(target: Target) -> bool:
    return any(isinstance(edit, Reweight) and edit.by == "guidance" for edit in target.edits or ())


def _needs_room(target: Target) -> bool:
    return target.room is not None


def _only_subtracts(target: Target) -> bool:
    blend = target.local_blend
    return blend is not None and blend.box is None and blend.mask is None and not _names(blend)


def _names(blend: LocalBlend) -> bool:
    return bool(blend.words or blend.source_words)


def _reads_transparency(target: Target) -> bool:
    mask = None if target.local_blend is None else target.local_blend.mask
    return mask is not None and mask.read_by == "transparency"


def _matches_mass(target: Target) -> bool:
    return target.mass != "linear"


#: By what a target may ask for, the first version that reads it.
SINCE: Mapping[Callable[[Target], bool], int] = {
    _fills: 2,
    _starts_afresh: 2,
    _only_subtracts: 2,
    _weighs_by_guidance: 3,
    _needs_room: 3,
    _matches_mass: 3,
    _reads_transparency: 4,
}
#: The same of what a whole spec may ask for.
SINCE_OF_SPEC: Mapping[Callable[[EditSpec], bool], int] = {
    lambda spec: spec.reference is not None: 3,
    lambda spec: isinstance(spec.inversion, Straight): 4,
    lambda spec: spec.source.image is None and not spec.targets: 4,
    lambda spec: spec.sampling.order == "held": 5,
}
#: Of jobs that use none of it.
FIRST = 1
#: The first version that leaves nothing behind of a job that is not to be stored.
UNSTORED = 3
#: What this program reads. Raised with each row of a new version.
SCHEMA_VERSION = max(*SINCE.values(), *SINCE_OF_SPEC.values(), UNSTORED)


def version_of(spec: EditSpec, *, store: bool = True) -> int:
    """The first version that reads a job of a spec.

    Args:
        store: whether what is found and made may be kept for later jobs.
    """
    of_targets = [since for target in spec.targets for asks, since in SINCE.items() if asks(target)]
    of_spec = [since for asks, since in SINCE_OF_SPEC.items() if asks(spec)]
    return max([*of_targets, *of_spec, FIRST if store else UNSTORED])
