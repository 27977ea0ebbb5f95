"""The judge tells what drawn pictures show, also where they went through the autoencoder."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from scenes.autoencoder import to_pixels
from scenes.judge.__main__ import VAE
from scenes.judge.examination import examine
from scenes.judge.network import SIDE, Judge
from scenes.judge.pictures import lesson, shows_place, shows_tint
from scenes.judge.training import loss_of, train
from scenes.judge.verdict import WEIGHTS, load, save, steps_seen, verdicts
from scenes.render import Layout, draw
from scenes.world import Scene, Thing

pytestmark = pytest.mark.usefixtures("font")


@pytest.fixture(scope="module")
def judge():
    return load()


@pytest.fixture(scope="module")
def vae():
    return AutoencoderKL.from_pretrained(VAE, torch_dtype=torch.float32).eval()


def drawn(*things: Thing, place: str = "beach", style: str | None = None) -> np.ndarray:
    return draw(Scene(things, place, style), Layout.drawn(3, room=2)).image


@pytest.mark.parametrize("through_autoencoder", [False, True])
def test_it_judges_renders_that_it_never_saw(judge, vae, through_autoencoder):
    """150 pictures: 4 wrong ones are allowed, twice what the full examination's shares would let fail."""
    figures = examine(judge, 150, vae if through_autoencoder else None)

    assert min(figures[name] for name in ("thing", "place", "tint", "style")) >= 0.97
    assert figures["iou"] >= 0.85


def test_it_sees_both_things_and_where_each_is(judge):
    layout = Layout.drawn(3, room=2)
    picture = draw(Scene((Thing("cat"), Thing("tree")), "beach"), layout)

    (seen,) = verdicts(judge, [picture.image])

    assert seen.things == {"cat", "tree"}
    for name, mask in zip(("cat", "tree"), picture.masks, strict=True):
        assert (seen.mask(name) & mask).sum() / (seen.mask(name) | mask).sum() > 0.8


def test_it_sees_an_empty_place(judge):
    (seen,) = verdicts(judge, [drawn()])

    assert seen.things == frozenset()
    assert not seen.mask("cat").any()


def test_tints_are_told_of_each_thing(judge):
    (seen,) = verdicts(judge, [drawn(Thing("house", "purple"), Thing("car", "green"))])

    assert (seen.tints["house"], seen.tints["car"]) == ("purple", "green")


def test_a_word_is_likelier_where_its_picture_shows_it(judge):
    plain, rain = verdicts(judge, [drawn(Thing("cat")), drawn(Thing("cat"), style="in the rain")])

    assert plain.chances["in the rain"] < 0 < rain.chances["in the rain"]


def test_a_larger_picture_is_judged_like_a_small_one(judge):
    small = drawn(Thing("cat"))
    large = small.repeat(2, 0).repeat(2, 1)

    one, other = verdicts(judge, [small]) + verdicts(judge, [large])

    assert (one.things, one.place, one.style) == (other.things, other.place, other.style)


def test_what_cannot_be_told_is_not_asked():
    assert shows_tint(Thing("cat", "purple"), None)
    assert not shows_tint(Thing("cat", "yellow"), None)  # cats are yellow
    assert not shows_tint(Thing("cat", "purple"), "as a sketch")
    assert not shows_place("red", "in black and white")
    assert shows_place("beach", "in black and white")


def test_a_lesson_is_the_same_whenever_it_is_drawn():
    one, other = lesson(5, 8, None), lesson(5, 8, None)

    assert torch.equal(one.images, other.images)
    assert not torch.equal(one.images, lesson(6, 8, None).images)


@torch.no_grad()
def loss(judge: Judge) -> float:
    batch = lesson(10**4, 32, None)
    return float(loss_of(judge, to_pixels(batch.images.numpy()), batch.regions.long(), batch))


def test_training_makes_it_better(vae, monkeypatch):
    monkeypatch.setattr("scenes.judge.training.LESSON", 64)
    monkeypatch.setattr("scenes.judge.training.BATCH", 8)

    assert loss(train(60, vae)) < 0.6 * loss(Judge().eval())


def test_a_judge_that_goes_on_begins_where_it_was(judge, vae, monkeypatch):
    monkeypatch.setattr("scenes.judge.training.LESSON", 64)

    assert loss(train(1, vae, load(), seen=10**5)) < 2 * loss(judge)


def test_a_saved_judge_is_the_same_in_half_precision(judge, tmp_path):
    save(judge, 7, tmp_path / "judge.safetensors")

    assert steps_seen(tmp_path / "judge.safetensors") == 7
    # Its weights came from half precision, and the batch norms' statistics too.
    assert loss(load(tmp_path / "judge.safetensors")) == loss(judge)


def test_its_weights_are_small():
    assert WEIGHTS.stat().st_size < 3_000_000
    assert SIDE == 64
