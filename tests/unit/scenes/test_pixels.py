"""The model of pixels: its tokens, what its layers are asked for, training that goes on, and what it exports."""

import tomllib

import numpy as np
import pytest
import torch
from diffusers import IFPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnAddedKVProcessor2_0

from p2p.families.deepfloyd_if import DeepFloydIF
from scenes import dataset
from scenes.pixels import evaluate, network, tokenizer, training
from scenes.pixels.captions import CaptionsApart, PooledFrom
from scenes.pixels.export import export
from scenes.pixels.joint_attention import CatchJointAttention
from scenes.pixels.objective import Objective
from scenes.shipping import ship
from scenes.tokens.drawing import held_out
from scenes.vocabulary import words

pytestmark = pytest.mark.usefixtures("font")
CPU = torch.device("cpu")


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A network of some hundred thousand weights, eight scenes a shard, a checkpoint after every step."""
    monkeypatch.setattr(dataset, "SHARD", 8)
    monkeypatch.setattr(training, "SAMPLES_A_SHARD", 8)
    monkeypatch.setattr(training, "BATCH", 4)
    monkeypatch.setattr(training, "WARM_UP", 1)
    monkeypatch.setattr(training, "SAVE_SECONDS", 0)
    monkeypatch.setattr(training, "LOG_SECONDS", 0)
    monkeypatch.setattr(network, "CHANNELS", (16, 16, 32, 32))
    monkeypatch.setattr(network, "TEXT_WIDTH", 32)


@pytest.fixture(scope="module")
def said():
    return tokenizer.made()


@pytest.fixture
def run(tmp_path):
    """A function that trains in a folder of that name, up to so many samples."""

    def run(name: str, samples: int, look=lambda seen: None):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        training.train(folder, tokenizer.prepare(folder), samples, CPU, shards=1, look=look)
        return folder

    return run


def stop_at(samples: int):
    def look(seen: int) -> None:
        if seen == samples:
            raise Stopped

    return look


def test_a_word_of_the_world_is_one_token_or_two_and_any_other_is_spelled(said):
    for word in words():
        assert len(said.tokenize(word)) in (1, 2)
    assert said.tokenize("sunflower zebra") == ["▁sunfl", "ower", "▁", "z", "e", "b", "r", "a"]


def test_a_read_tokenizer_reads_as_the_made_one(said, tmp_path):
    asked = ["a purple rabbit and a strawberry, on a beach!", "", "  an  umbrella "]
    assert tokenizer.prepare(tmp_path)(asked).input_ids == said(asked).input_ids
    assert tokenizer.prepare(tmp_path)(asked).input_ids == said(asked).input_ids


def test_a_word_is_encoded_as_a_whole_with_either_half(said):
    encoder = network.build(said)[1]
    tokens = torch.tensor([said("a strawberry on a beach", padding="max_length").input_ids])
    apart = CaptionsApart(encoder, said, CPU)
    assert apart.word_of(tokens)[0, :7].tolist() == [1, 2, 2, 3, 4, 5, 5]
    assert apart.ends(tokens)[0].tolist() == [False] * 6 + [True] * 71


def test_a_caption_is_pooled_for_another_one_and_the_empty_one_for_itself(said):
    apart = CaptionsApart(network.build(said)[1], said, CPU)
    captions = ["a cat", "", "a dog", "a tree", ""]
    tokens = torch.tensor(said(captions, padding="max_length").input_ids)
    rows = apart.others(tokens, torch.Generator().manual_seed(3))
    assert rows[1] == 1
    assert rows[4] == 4
    pooled = PooledFrom()
    pooled.rows = rows
    states = torch.arange(5.0)[:, None]
    assert pooled(torch.nn.Identity(), (states,))[0][:, 0].tolist() == rows.tolist()


def test_a_watched_layer_gives_what_the_stock_one_gives():
    torch.manual_seed(0)
    how = {"query_dim": 32, "cross_attention_dim": 32, "added_kv_proj_dim": 32, "heads": 2, "dim_head": 16}
    layer = Attention(**how, norm_num_groups=8, bias=True, cross_attention_norm="group_norm")
    pixels, text = torch.randn(2, 32, 4, 4), torch.randn(2, 5, 32)
    caught: list[torch.Tensor] = []
    watched = CatchJointAttention(caught)(layer, pixels, text)
    # Rounding of another order of operations: some 1e-7.
    torch.testing.assert_close(watched, AttnAddedKVProcessor2_0()(layer, pixels, text), atol=1e-5, rtol=1e-5)
    assert caught[0].shape == (2, 16, 5)
    assert (caught[0].sum(2) < 1).all()


def test_a_variance_between_posterior_and_beta_costs_nothing_only_at_the_posterior(said):
    unet, encoder = network.build(said)
    objective = Objective(unet, encoder, said)
    schedule, t = network.scheduler(), torch.tensor([5, 400])
    x, noise = torch.rand(2, 3, 8, 8) * 2 - 1, torch.randn(2, 3, 8, 8)
    seen, velocity = schedule.add_noise(x, noise, t), schedule.get_velocity(x, noise, t)
    posterior, beta = (objective._bound(x, seen, velocity, torch.full_like(x, at), t) for at in (-1.0, 1.0))
    # The velocity is the true one, so that what is left of the pixels' error is rounding: 1e-6 of a small variance.
    assert posterior < 1e-5 < beta


def test_stopped_training_goes_on_where_it_was(run):
    whole = run("whole", 12)
    with pytest.raises(Stopped):
        run("stopped", 12, stop_at(8))
    stopped = run("stopped", 12)
    one, other = (UNet2DConditionModel.from_pretrained(folder / "unet").state_dict() for folder in (whole, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_step_changes_every_weight_that_the_pipeline_reads(said):
    torch.manual_seed(0)
    networks = network.build(said)
    before = [{name: weight.clone() for name, weight in each.state_dict().items()} for each in networks]
    objective = Objective(*networks, said)
    parameters = [p for each in networks for p in each.parameters()]
    generator = torch.Generator().manual_seed(0)
    terms = objective(held_out(4, said), torch.tensor([True, False, False, False]), generator)
    terms.total.backward()
    torch.optim.Adam(parameters).step()
    for each, was in zip(networks, before, strict=True):
        same = {name for name, weight in each.state_dict().items() if torch.equal(weight, was[name])}
        assert same == set()


def test_the_export_is_painted_with_by_the_plain_pipeline_and_read_by_the_sampler(run, tmp_path):
    export(run("run", 4), 4, tmp_path / "model")
    pipeline = IFPipeline.from_pretrained(tmp_path / "model", dtype=torch.float32, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    images = evaluate.paint(pipeline, ["a cat on a beach", "a dog"], guidance_scale=2.0, steps=2)
    assert images.shape == (2, 64, 64, 3)
    assert images.dtype == np.uint8

    family = DeepFloydIF.load(str(tmp_path / "model"), device="cpu", dtype=torch.float32)
    assert family.tokenizer.model_max_length == 77
    assert family.latent_shape(None, None) == (3, 64, 64)


def test_a_model_is_shipped_as_it_is_with_one_row_of_the_models_file(tmp_path):
    models = tmp_path / "models.toml"
    models.write_text('[[models]]\nid = "scenes"\n')
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "training.json").write_text("{}")
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "old").touch()
    for _ in range(2):
        row = evaluate.ROW.format(steps=20, guidance=3.0)
        ship(tmp_path / "trained", tmp_path / "shipped", "scenes-if", row, models)
    assert [path.name for path in (tmp_path / "shipped").iterdir()] == ["training.json"]
    rows = tomllib.loads(models.read_text())["models"]
    assert [row["id"] for row in rows] == ["scenes", "scenes-if"]
    assert rows[1]["defaults"]["guidance_scale"] == 3.0
