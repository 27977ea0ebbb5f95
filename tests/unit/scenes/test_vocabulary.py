"""The built-in model's vocabulary is what its world says."""

from pathlib import Path

import numpy as np

from jobs.catalogue import load_catalogue
from scenes.vocabulary import FILE, text, words
from scenes.world import random_scene


def test_the_file_is_what_the_command_writes():
    assert FILE.read_text(encoding="utf-8") == text(), "run `python -m scenes.vocabulary --write`"


def test_the_models_file_names_it():
    model = load_catalogue(Path("models.toml"))["scenes"]

    assert list(model.vocabulary) == words()
    assert model.known_words == set(words())


def test_every_caption_is_made_of_it():
    rng = np.random.default_rng(0)

    captions = [random_scene(rng, held_out=held_out).caption() for held_out in (False, True) for _ in range(300)]

    assert {word for caption in captions for word in caption.split()} == set(words())
