"""A LoRA of the built-in model: its training can be stopped, and its file is one as users have them."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jobs.catalogue import load_catalogue
from p2p.families import load
from p2p.layouts import LAYOUTS
from p2p.layouts.loras import layers, troubles
from scenes import lora
from scenes.train import MODEL
from scenes.vocabulary import words
from scenes.world import NEW_THING, THINGS

CPU = torch.device("cpu")
(CHOICE,) = load_catalogue(MODEL.parents[1] / "models.toml")["scenes"].lora_choices


@pytest.fixture
def small(monkeypatch):
    for name, value in {"BATCH": 2, "EXAMPLES": 6, "SAVE_EVERY": 1, "WARM_UP": 1}.items():
        monkeypatch.setattr(lora, name, value)


@pytest.mark.usefixtures("font", "small")
def test_a_stopped_training_goes_on_where_it_was(tmp_path, monkeypatch):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = lora.train(tmp_path / "whole", 3, CPU)
    save = lora.checkpoint.save

    def stop_at_two(path, state):
        save(path, state)
        if state.get("step") == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(lora.checkpoint, "save", stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        lora.train(tmp_path / "stopped", 3, CPU)
    monkeypatch.setattr(lora.checkpoint, "save", save)
    stopped = lora.train(tmp_path / "stopped", 3, CPU)

    assert whole.keys() == stopped.keys()
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


@pytest.mark.usefixtures("font", "small")
def test_what_is_written_is_a_lora_that_the_model_takes(tmp_path):
    file = tmp_path / "new.safetensors"
    lora.save(lora.train(tmp_path, 1, CPU), file)

    family = load("stable_diffusion", str(MODEL))
    assert list(troubles(file, LAYOUTS["stable_diffusion"], "stable_diffusion", {})) == []
    assert layers(file) == sum(name.endswith(tuple(lora.LAYERS)) for name in modules(family))
    assert {weight.dtype for weight in load_file(file).values()} == {torch.float16}


def modules(family) -> list[str]:
    return [name for name, _ in family.network.named_modules()]


def test_every_third_picture_shows_what_the_model_knows():
    scenes = lora.drawn_scenes(60, np.random.default_rng(0))

    new = [any(thing.name == NEW_THING for thing in scene.things) for scene in scenes]
    assert new == [index % 3 != 0 for index in range(60)]
    assert all(sum(thing.name == NEW_THING for thing in scene.things) <= 1 for scene in scenes)


def test_the_new_thing_is_none_of_the_models():
    assert NEW_THING not in THINGS
    assert NEW_THING not in words()


def test_the_file_that_is_offered_is_the_one_that_is_trained():
    assert CHOICE.path == str(lora.TARGET)
    assert CHOICE.words == (NEW_THING,)
    assert lora.TARGET.stat().st_size < 1_000_000
