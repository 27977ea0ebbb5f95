"""The token model's training goes on where it was stopped; aMUSEd's pipeline loads what it exports."""

import numpy as np
import pytest
import torch
from diffusers import AmusedPipeline, AutoencoderKL, UVit2DModel, VQModel
from transformers import CLIPTokenizer

from scenes import checkpoint, dataset
from scenes.render import Layout, draw
from scenes.tokens import drawing, evaluate, training, transformer, vq
from scenes.tokens.budget import Budget, learning_rate
from scenes.tokens.drawing import Drawing, held_out
from scenes.tokens.examples import Examples
from scenes.tokens.export import export
from scenes.tokens.train import SCENES
from scenes.world import Scene, Thing

pytestmark = pytest.mark.usefixtures("font")
CPU = torch.device("cpu")


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A network of a few thousand weights, eight scenes a shard, a checkpoint after every step."""
    monkeypatch.setattr(dataset, "SHARD", 8)
    monkeypatch.setattr(vq, "BATCH", {"cpu": 2})
    monkeypatch.setattr(vq, "KMEANS_PASSES", 1)
    monkeypatch.setattr(vq, "SAVE_SECONDS", 0)
    monkeypatch.setattr(vq, "STEPS_UNUSED", 2)
    monkeypatch.setattr(training, "BATCH", {"cpu": 4})
    monkeypatch.setattr(training, "WARM_UP", {"cpu": 1})
    monkeypatch.setattr(training, "SAVE_SECONDS", 0)
    monkeypatch.setattr(training, "TAKE_EVERY", 1)
    for name, value in {"WIDTH": 32, "CHANNELS": 32, "HEAD": 16, "BLOCKS": 1, "LAYERS": 1}.items():
        monkeypatch.setattr(transformer, name, value)


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(SCENES / "tokenizer")


@pytest.fixture
def vae() -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(SCENES / "vae", dtype=torch.float32)


@pytest.fixture
def run(tmp_path, tokenizer, vae):
    """A function that trains in a folder of that name, for so many steps."""

    def run(name: str, *, vq_steps: int = 1, steps: int = 1, look=lambda samples: None):
        folder = tmp_path / name
        tokenizer.save_pretrained(folder / "tokenizer")
        with Drawing(folder, 2, processes=0) as shards:
            pictures, asked = shards.next(), held_out(4, tokenizer)
            autoencoder = vq.train(folder, pictures, asked, Budget(steps=vq_steps), CPU, vae)
            examples = Examples.of(pictures, autoencoder)
            budget = Budget(steps=steps)
            training.train(folder, examples, shards, asked, autoencoder, tokenizer, budget, CPU, look=look)
        return folder

    return run


def weights(module_type, folder) -> list[torch.Tensor]:
    return list(module_type.from_pretrained(folder).state_dict().values())


def stop_at(samples: int):
    def look(seen: int) -> None:
        if seen == samples:
            raise Stopped

    return look


def test_a_stopped_transformer_goes_on_where_it_was(run):
    whole = run("whole", steps=4)
    with pytest.raises(Stopped):
        run("stopped", steps=4, look=stop_at(8))
    stopped = run("stopped", steps=4)

    for one, other in zip(*(weights(UVit2DModel, folder / "transformer") for folder in (whole, stopped)), strict=True):
        assert torch.equal(one, other)


def test_a_stopped_autoencoder_goes_on_where_it_was(run, monkeypatch):
    whole = run("whole", vq_steps=4)
    save = checkpoint.save

    def stop(path, state):
        save(path, state)
        if path.name == "vq.pt" and state["step"] == 3:
            raise Stopped

    monkeypatch.setattr(checkpoint, "save", stop)
    with pytest.raises(Stopped):
        run("stopped", vq_steps=4)
    monkeypatch.setattr(checkpoint, "save", save)
    stopped = run("stopped", vq_steps=4)

    for one, other in zip(*(weights(VQModel, folder / "vqvae") for folder in (whole, stopped)), strict=True):
        assert torch.equal(one, other)


def test_the_autoencoder_stays_once_the_transformer_learns_its_tokens(run):
    before = weights(VQModel, run("run") / "vqvae")
    after = weights(VQModel, run("run", vq_steps=9, steps=2) / "vqvae")

    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_step_changes_every_weight_that_the_pipeline_reads(run, tokenizer):
    torch.manual_seed(0)
    network = transformer.build(tokenizer)[0]
    folder = run("run", steps=2)
    state = checkpoint.load(folder / "transformer.pt")

    untouched = {name for name, w in network.state_dict().items() if torch.equal(w, state["network"][name])}
    assert untouched == set()


def test_the_export_is_what_amused_pipeline_loads_and_paints_with(run, tmp_path):
    export(run("run"), 4, tmp_path / "model")
    pipeline = AmusedPipeline.from_pretrained(tmp_path / "model", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    images = evaluate.paint(pipeline, ["a cat on a beach", "a dog"], guidance_scale=2.0, steps=2)
    assert images.shape == (2, 64, 64, 3)
    assert pipeline.scheduler.config.mask_token_id == pipeline.transformer.config.vocab_size - 1


def test_the_warm_autoencoder_encodes_to_the_mean_of_the_one_it_starts_from(vae, tokenizer):
    pictures = held_out(2, tokenizer)
    started = vq.build()
    vq.warm_start(started, vae)
    pixels = vq.to_pixels(pictures.images)
    with torch.no_grad():
        mean = vae.encode(pixels * 2 - 1).latent_dist.mean
        latents = started.encode(pixels).latents

    # Beside the border the first convolution sees other zeros. They reach the other cells by the group norms, a little.
    inside = (..., slice(4, -4), slice(4, -4))
    assert (latents - mean)[inside].norm() < 0.05 * mean[inside].norm()


def test_pictures_come_back_from_their_tokens(run, tokenizer):
    autoencoder = VQModel.from_pretrained(run("run") / "vqvae").eval()
    pictures = held_out(4, tokenizer)
    grids = vq.encode(autoencoder, pictures.images)

    assert grids.shape == (4, 16, 16)
    assert vq.decode(autoencoder, grids).shape == pictures.images.shape


def test_a_share_of_the_tokens_is_masked_and_at_least_one():
    masked = training.masked_at_random(torch.tensor([0.0, 0.5, 1.0]), torch.Generator().manual_seed(0))

    assert masked.flatten(1).sum(1).tolist() == [1, 128, 256]


def test_a_caption_reaches_the_pooled_embedding_of_another_one_only(tokenizer):
    torch.manual_seed(0)
    _, text_encoder = transformer.build(tokenizer)
    words = torch.tensor(tokenizer(["a cat", "a dog", ""], padding="max_length").input_ids)
    apart = transformer.CaptionsApart(text_encoder.eval(), tokenizer, CPU)
    with torch.no_grad():
        own = transformer.read(text_encoder, words)[1]
        pooled = [apart.pooled(words, torch.Generator().manual_seed(seed)) for seed in range(8)]

    # The empty caption has itself alone; the others get one another's, or by chance their own.
    assert all(torch.equal(each[2], own[2]) for each in pooled)
    assert {next(i for i in range(3) if torch.equal(each[0], own[i])) for each in pooled} == {0, 1, 2}


def test_a_training_that_diverges_says_so(run, monkeypatch):
    monkeypatch.setattr(training, "DIVERGED_ABOVE", 0.0)

    with pytest.raises(training.Diverged, match="after 1 steps"):
        run("run", steps=2)


def test_shards_are_drawn_once(tmp_path, tokenizer, monkeypatch):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    with Drawing(tmp_path, 1, processes=0) as first:
        drawn = first.next()
    monkeypatch.setattr(drawing, "drawn", lambda index: pytest.fail("drawn again"))
    with Drawing(tmp_path, 1, processes=0) as again:
        assert again.ready
        assert torch.equal(again.next().images, drawn.images)
        assert not again.ready


def test_a_budget_counts_what_earlier_runs_spent():
    budget = Budget(seconds=1000.0)
    budget.go_on(1000.0)

    assert 0.5 <= budget.share(0) < 0.6  # less than a hundred seconds have passed meanwhile
    assert Budget(steps=4).share(2) == 0.5
    with pytest.raises(ValueError, match="either seconds or steps"):
        Budget()


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    assert learning_rate(0.0, 0, warm_up=10) == pytest.approx(0.1)
    assert learning_rate(0.5, 99, warm_up=10) == pytest.approx(0.5)
    assert learning_rate(1.0, 99, warm_up=10) == pytest.approx(0.0)


def test_renders_are_judged_to_show_what_they_show():
    scenes = evaluate.one_thing_scenes(24)
    images = [draw(scene, Layout.drawn(n)).image for n, scene in enumerate(scenes)]
    shares = evaluate.judged(scenes, np.stack(images))

    assert shares["thing"] > 0.9
    assert shares["place"] > 0.9
    assert evaluate.judged([Scene((Thing("cat"),), "beach")], np.stack(images[:1]))["tint"] is None
