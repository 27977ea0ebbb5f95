"""The world is as large as promised, and part of it is kept out of training."""

import numpy as np

from scenes.world import HELD_OUT, PLACES, STYLES, THINGS, TINTS, Scene, Thing, combinations, is_held_out, random_scene


def test_the_world_is_as_large_as_promised():
    assert len(THINGS) >= 16
    assert len(PLACES) >= 8
    assert len(TINTS) >= 5
    assert len(STYLES) >= 4


def test_a_tenth_of_the_combinations_is_kept_out_of_training():
    assert len(HELD_OUT) == round(0.1 * len(list(combinations())))


def test_random_scenes_stay_on_their_side_of_the_split():
    rng = np.random.default_rng(0)

    assert not any(is_held_out(random_scene(rng)) for _ in range(300))
    assert all(is_held_out(random_scene(rng, held_out=True)) for _ in range(100))


def test_no_thing_is_tinted_like_the_background_it_stands_on():
    rng = np.random.default_rng(1)
    scenes = [random_scene(rng) for _ in range(500)]

    assert not any(thing.tint == scene.place for scene in scenes for thing in scene.things)


def test_a_caption_says_things_tints_place_and_style():
    scene = Scene((Thing("cat", "purple"), Thing("apple")), "beach", "at night")

    assert scene.caption() == "a purple cat and an apple on a beach at night"
    assert Scene((Thing("fish"),), "red").caption() == "a fish on a red background"
