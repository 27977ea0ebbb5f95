"""Training can be stopped at any moment: resumed, it ends in the very weights it would have ended in."""

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from scenes import autoencoder, checkpoint, dataset, painter, tokenizer, warm_start
from scenes.train import MODEL
from scenes.world import Scene, Thing

pytestmark = pytest.mark.usefixtures("font")
CPU = torch.device("cpu")


class Stopped(Exception):
    pass


def stop(step: int) -> None:
    raise Stopped


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(autoencoder, "BATCH", 2)
    monkeypatch.setattr(autoencoder, "SAVE_EVERY", 1)
    monkeypatch.setattr(painter, "BATCH", 2)
    monkeypatch.setattr(painter, "SAVE_EVERY", 1)
    monkeypatch.setattr(painter, "LOOK_EVERY", 2)
    monkeypatch.setattr(painter, "FIRST_SHARDS", 1)
    monkeypatch.setattr(dataset, "SHARD", 8)


def weights(module_type, folder) -> list[torch.Tensor]:
    return list(module_type.from_pretrained(folder).state_dict().values())


def test_a_stopped_autoencoder_goes_on_where_it_was(tmp_path, monkeypatch):
    torch.manual_seed(0)
    autoencoder.train(tmp_path / "whole", 3, CPU)
    torch.manual_seed(0)
    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda path, state: (save(path, state), state["step"] == 2 and stop(2)))
    with pytest.raises(Stopped):
        autoencoder.train(tmp_path / "stopped", 3, CPU)
    monkeypatch.setattr(checkpoint, "save", save)
    autoencoder.train(tmp_path / "stopped", 3, CPU)

    for whole, stopped in zip(
        *(weights(AutoencoderKL, tmp_path / n / "vae") for n in ("whole", "stopped")), strict=True
    ):
        assert torch.equal(whole, stopped)


def test_a_stopped_painter_goes_on_where_it_was(tmp_path):
    words = tokenizer.train()
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        autoencoder.build().save_pretrained(tmp_path / name / "vae")
        torch.manual_seed(1)
        if name == "stopped":
            with pytest.raises(Stopped):
                painter.train(tmp_path / name, 4, CPU, words, look=stop)
        painter.train(tmp_path / name, 4, CPU, words, look=lambda step: None)

    for whole, stopped in zip(
        *(weights(UNet2DConditionModel, tmp_path / n / "unet") for n in ("whole", "stopped")), strict=True
    ):
        assert torch.equal(whole, stopped)


def test_a_committed_model_is_trained_on_where_no_checkpoint_is_left(tmp_path, monkeypatch):
    # Else it would draw the shards of all the steps before, hundreds of them, to take one step.
    monkeypatch.setattr(painter, "STEPS_PER_SHARD", 10**9)
    warm_start.from_model(MODEL, tmp_path, batch=2)
    begun = checkpoint.load(tmp_path / "painter.pt")["step"]
    shipped = UNet2DConditionModel.from_pretrained(MODEL / "unet", dtype=torch.float32).state_dict()
    painter.train(tmp_path, begun + 1, CPU, tokenizer.prepare(tmp_path), look=lambda step: None)

    state = checkpoint.load(tmp_path / "painter.pt")
    assert state["step"] == begun + 1
    # one step of a cooled-down learning rate: nearly the shipped weights, not fresh ones
    assert all((state["unet"][name] - value).abs().max() < 1e-2 for name, value in shipped.items())


def test_a_stop_while_saving_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    path = tmp_path / "painter.pt"
    checkpoint.save(path, {"step": 1})

    def half(state, target):
        target.write_bytes(b"half")
        raise Stopped

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(Stopped):
        checkpoint.save(path, {"step": 2})

    assert checkpoint.load(path) == {"step": 1}


def test_tokens_know_which_thing_their_word_names():
    scene = Scene((Thing("cat", "red"), Thing("strawberry")), "beach")
    ids, named = dataset.tokens_naming(scene, tokenizer.train())

    # start, a, red, cat, and, a, straw-, -berry, on, a, beach, end, padding
    assert named[:12] == [-1, -1, 0, 0, -1, -1, 1, 1, -1, -1, -1, -1]
    assert len(ids) == len(named) == tokenizer.MAX_LENGTH
