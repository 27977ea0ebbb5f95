"""The model's own tokenizer is small and can say anything."""

import numpy as np
import pytest

from scenes import tokenizer
from scenes.world import THINGS, random_scene


@pytest.fixture(scope="module")
def made():
    return tokenizer.train()


def test_some_things_are_one_token_and_some_are_several(made):
    counts = {len(made.tokenize(thing)) for thing in THINGS}

    assert 1 in counts
    assert max(counts) >= 2


def test_the_longest_caption_fits(made):
    rng = np.random.default_rng(0)

    assert max(len(made(random_scene(rng).caption()).input_ids) for _ in range(500)) <= tokenizer.MAX_LENGTH


@pytest.mark.parametrize("prompt", ["a zebra", "ein Löwe", "一只猫", "🐱 ~ \\o/"])
def test_words_outside_the_world_can_still_be_said(made, prompt):
    """Every byte is in the alphabet: the unknown token, which is the end token here, is never needed."""
    assert made.eos_token_id not in made(prompt).input_ids[1:-1]
