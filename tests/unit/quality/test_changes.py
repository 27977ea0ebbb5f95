"""A change names one thing, and its true edited picture differs from the source in that alone."""

import numpy as np
import pytest

from benchmarks.quality.changes import KINDS, as_target, drawn_pair, remove_first, tint
from benchmarks.quality.metrics import may_change
from p2p.spec import EditSpec
from scenes.judge.pictures import changes as tint_changes
from scenes.render import Layout
from scenes.world import Scene, Thing

pytestmark = pytest.mark.usefixtures("font")
ONE = Scene((Thing("cat"),), "beach")
TWO = Scene((Thing("cat"), Thing("tree")), "beach")
TINTED = Scene((Thing("cat", "purple"),), "beach")


def of_kind(kind: str, seed: int = 0):
    scene = {"remove": TWO, "reweight": TINTED}.get(kind, ONE)
    return [make(scene, np.random.default_rng(seed)) for make in KINDS[kind]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blended", [False, True])
def test_every_change_is_a_valid_edit(kind, blended):
    for change in of_kind(kind):
        target = as_target(change, blended=blended)

        EditSpec.model_validate({"source": {"prompt": change.before.caption()}, "targets": [target]})


@pytest.mark.parametrize("kind", ["thing", "tint", "remove"])
@pytest.mark.parametrize("seed", range(4))
def test_the_truth_of_a_local_change_differs_inside_its_things_alone(kind, seed):
    for change in of_kind(kind, seed):
        before, after = drawn_pair(change, Layout.drawn(seed, room=len(change.before.things)))
        masks = [
            {thing.name: mask for thing, mask in zip(scene.things, picture.masks, strict=True)}
            for scene, picture in ((change.before, before), (change.after, after))
        ]
        differs = (before.image != after.image).any(-1)

        assert differs.any()
        # Whiskers and leaves are thinner than a mask's pixel; the margin is what the metric grants too.
        assert (differs & ~may_change(change, *masks)).sum() <= 12


@pytest.mark.parametrize("kind", ["place", "style"])
def test_the_truth_of_a_change_of_everything_leaves_the_thing_where_it_was(kind):
    (change,) = of_kind(kind)
    before, after = drawn_pair(change, Layout.drawn(1))

    assert np.array_equal(before.masks[0], after.masks[0])
    assert (before.image != after.image).any()


def test_what_stays_when_the_first_thing_goes_stays_in_its_place():
    before, after = drawn_pair(remove_first(TWO, np.random.default_rng(0)), Layout.drawn(2, room=2))

    tree = before.masks[1]
    assert (before.image[tree] == after.image[tree]).all()


def test_a_tint_that_nobody_sees_is_not_asked_for():
    for seed in range(20):
        change = tint(ONE, np.random.default_rng(seed))

        assert tint_changes("cat", change.after.things[0].tint)


def test_a_removed_thing_is_kept_in_its_place_by_its_word_in_the_source():
    (first, _) = of_kind("remove")

    assert as_target(first, blended=True)["local_blend"] == {"words": [], "source_words": [{"word": "cat"}]}


def test_settings_take_the_place_of_defaults():
    (change,) = of_kind("thing")

    target = as_target(change, blended=True, cross_window={"stop": 0.2}, local_blend={"threshold": 0.1})

    assert (target["cross_window"], target["local_blend"]["threshold"]) == ({"stop": 0.2}, 0.1)


def test_faders_have_no_true_answer_and_neither_has_the_place_of_a_new_thing():
    assert {kind for kind in KINDS if not of_kind(kind)[0].has_truth} == {"add", "reweight"}
