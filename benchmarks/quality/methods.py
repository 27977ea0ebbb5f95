"""How pictures are edited. A method takes sources and gives a picture for each change of each, in the order of `pairs`.

A new one is a function and a row of `METHODS`, or of `BY_NAME` if it runs only where it is named; of `WINDOWED` if it
has a model's own windows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.quality.changes import Change, as_target, drawn_pair
from benchmarks.quality.given import GIVEN
from benchmarks.quality.metrics import may_change
from benchmarks.quality.painting import decoded, noise_of, paint
from benchmarks.quality.photos import automatic_spec, returned, run
from benchmarks.quality.sources import Source
from jobs.catalogue import ModelDefaults
from p2p.change.choosing import explicit
from p2p.families.base import ModelFamily
from p2p.spec import EditSpec, TokenOrder
from scenes.render import SIZE
from service.edits.windows import with_windows

Pair = tuple[Source, Change, int]
#: The part of the run in which the words of things are carried over by themselves (`of_things`).
THINGS = {"stop": 0.8}
#: Added to a source's seed where a method starts from noise of its own.
OTHER_SEED = 7


def pairs(sources: Sequence[Source]) -> list[Pair]:
    """Every source with every change of it, and the seed of noise that is not the source's."""
    return [
        (source, change, (source.seed + OTHER_SEED + number) % 2**31)
        for source in sources
        for number, change in enumerate(source.changes)
    ]


def unchanged(sources: Sequence[Source], family: ModelFamily, steps: int) -> list[np.ndarray]:
    """The source itself, through the autoencoder as all others are."""
    return decoded(family, torch.cat([source.latents for source, *_ in pairs(sources)]))


def prompt_only(sources: Sequence[Source], family: ModelFamily, steps: int, *, same_seed: bool) -> list[np.ndarray]:
    """The edited prompt painted by itself, from the source's noise or from another."""
    of = pairs(sources)
    noise = [source.noise if same_seed else noise_of(seed, family) for source, _, seed in of]
    seeds = [source.seed if same_seed else seed for source, _, seed in of]
    found = [source.trajectory.step_noise if same_seed and source.trajectory else None for source, *_ in of]
    states = paint(
        family,
        _prompts(sources),
        torch.cat(noise),
        seeds,
        steps=steps,
        guidance_scale=_scale(sources),
        step_noise=found,
    )
    return decoded(family, states)


def sdedit(sources: Sequence[Source], family: ModelFamily, steps: int, *, strength: float) -> list[np.ndarray]:
    """The source at a part of the noise, painted on with the edited prompt (Meng et al. 2022)."""
    first = steps - round(strength * steps)
    clean, seeds = _clean_and_seeds(sources)
    sampler = family.sampler(steps, None, clean.shape[1:])
    start = [GIVEN[family.state](sampler, row[None], first, seed) for row, seed in zip(clean, seeds, strict=True)]
    states = paint(
        family,
        _prompts(sources),
        torch.cat(start),
        seeds,
        steps=steps,
        guidance_scale=_scale(sources),
        first=first,
    )
    return decoded(family, states)


def blended_latents(sources: Sequence[Source], family: ModelFamily, steps: int) -> list[np.ndarray]:
    """Painted with the edited prompt inside the true mask, the source at each step's noise outside."""
    clean, seeds = _clean_and_seeds(sources)
    noise = torch.cat([noise_of(seed, family) for seed in seeds])
    cells = SIZE // clean.shape[-1]
    masks = torch.from_numpy(np.stack([true_mask(source, change) for source, change, _ in pairs(sources)]))
    inside = functional.max_pool2d(masks[:, None].float(), cells)
    states = paint(
        family,
        _prompts(sources),
        noise,
        seeds,
        steps=steps,
        guidance_scale=_scale(sources),
        source=clean,
        may_change=inside,
    )
    return decoded(family, states)


def true_mask(source: Source, change: Change) -> np.ndarray:
    """What a user who knows what is to change would draw, (SIZE, SIZE) bool."""
    if source.layout is not None:
        pictures = drawn_pair(change, source.layout)
        before, after = (
            {thing.name: mask for thing, mask in zip(scene.things, picture.masks, strict=True)}
            for scene, picture in zip((change.before, change.after), pictures, strict=True)
        )
        return may_change(change, before, after)
    if change.kind == "add":
        return room_for_one(np.any(list(source.masks.values()), axis=0))
    return may_change(change, source.masks, {})


def room_for_one(taken: np.ndarray) -> np.ndarray:
    """A box beside what is there, on the side with more room, from its foot up: where a user would want one more."""
    rows, columns = np.nonzero(taken)
    box = np.zeros_like(taken)
    foot, side = int(rows.max()) + 1, taken.shape[1] // 2
    left, right = int(columns.min()), taken.shape[1] - 1 - int(columns.max())
    start = 0 if left >= right else taken.shape[1] - side
    box[max(0, foot - side) : foot, start : start + side] = True
    return box & ~taken if (box & ~taken).sum() > side * 8 else box


def ours(
    sources: Sequence[Source],
    family: ModelFamily,
    steps: int,
    *,
    blended: bool,
    defaults: ModelDefaults | None = None,
    order: TokenOrder | None = None,
    settings_of: Callable[[Change], dict] = lambda change: {},
    **settings: dict,
) -> list[np.ndarray]:
    """Prompt-to-prompt by its defaults, all edits of a source in one run.

    Args:
        blended: whether local changes are kept in their place.
        defaults: a model's, which may have windows of its own.
        order: of tokens.
        settings_of: further settings, which depend on the change.
        settings: in place of defaults (`changes.as_target`).
    """
    ordered = {"order": order} if order else {}
    images: list[np.ndarray] = []
    for source in sources:
        spec = EditSpec.model_validate(
            {
                "source": {"prompt": source.scene.caption()},
                "targets": [
                    as_target(change, blended=blended, **settings_of(change), **settings) for change in source.changes
                ],
                "sampling": {"steps": steps, "guidance_scale": source.guidance_scale, "seed": source.seed, **ordered},
                "artifacts": {"heatmaps": False, "raw_maps": False},
            }
        )
        spec = with_windows(spec, spec, defaults) if defaults else spec
        images += [np.asarray(image) for image in run(spec, source, family).images[1:]]
    return images


def of_things(change: Change) -> dict:
    """Settings by which nothing but the words of things is carried over: where they stand, and not their colours."""
    named = [{"word": thing.name, "window": THINGS} for thing in change.after.things]
    return {"cross_window": {"stop": 0}, "word_windows": named}


def automatic(
    sources: Sequence[Source], family: ModelFamily, steps: int, *, defaults: ModelDefaults | None = None
) -> list[np.ndarray]:
    """Two prompts and nothing else; of a drawn picture what comes back for a photo.

    Args:
        defaults: a model's: what it keeps, and windows of its own. As the API chooses for it.
    """
    images: list[np.ndarray] = []
    for source in sources:
        spec = automatic_spec(source, steps)
        result = run(with_windows(spec, explicit(spec, defaults.keep), defaults) if defaults else spec, source, family)
        if source.layout is None:
            images += [np.asarray(image) for image in result.images[1:]]
        else:
            images += returned(result, source.image)
    return images


def _prompts(sources: Sequence[Source]) -> list[str]:
    return [change.after.caption() for _, change, _ in pairs(sources)]


def _scale(sources: Sequence[Source]) -> float:
    """The guidance scale of sources that are edited together."""
    (scale,) = {source.guidance_scale for source in sources}
    return scale


def _clean_and_seeds(sources: Sequence[Source]) -> tuple[Tensor, list[int]]:
    clean = torch.cat([source.latents for source, *_ in pairs(sources)])
    return clean, [seed for *_, seed in pairs(sources)]


Method = Callable[[Sequence[Source], ModelFamily, int], list[np.ndarray]]
#: Those that have a model's own windows (`methods_of`).
WINDOWED: Mapping[str, Callable[..., list[np.ndarray]]] = {
    "ours": partial(ours, blended=False),
    "automatic": automatic,
    "ours_local_blend": partial(ours, blended=True),
    "ours_held": partial(ours, blended=False, order="held"),
    "ours_things_alone": partial(ours, blended=False, settings_of=of_things),
}
METHODS: Mapping[str, Method] = {
    "unchanged": unchanged,
    "prompt_same_seed": partial(prompt_only, same_seed=True),
    "prompt_other_seed": partial(prompt_only, same_seed=False),
    "sdedit_0.4": partial(sdedit, strength=0.4),
    "sdedit_0.6": partial(sdedit, strength=0.6),
    "sdedit_0.8": partial(sdedit, strength=0.8),
    "blended_latents_true_mask": blended_latents,
    **{name: WINDOWED[name] for name in ("ours", "automatic", "ours_local_blend")},
}
#: Further ones, which run where they are asked for by name: not every model has an order of tokens.
BY_NAME: Mapping[str, Method] = {name: WINDOWED[name] for name in ("ours_held", "ours_things_alone")}


def methods_of(defaults: ModelDefaults) -> Mapping[str, Method]:
    """All methods as requests of a model get them."""
    return {**METHODS, **{name: partial(method, defaults=defaults) for name, method in WINDOWED.items()}}
