"""The small MM-DiT of the drawn world: how captions are read, what is caught of its attention, what is shipped."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from diffusers import StableDiffusion3Pipeline

from benchmarks.quality.examined import EXAMINED
from benchmarks.quality.given import GIVEN
from benchmarks.quality.sources import INVERTED_BY
from jobs.catalogue import load_catalogue
from p2p.families.stable_diffusion_3 import StableDiffusion3
from p2p.spec import State
from scenes import dataset
from scenes.flow import evaluate, training
from scenes.flow.attention_terms import CatchJointAttention
from scenes.flow.export import export
from scenes.flow.train import SCENES, prepare
from scenes.shipping import ship
from scenes.tokenizer import MAX_LENGTH
from scenes.world import Scene, Thing

pytestmark = pytest.mark.usefixtures("font")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run that saw 16 scenes, was stopped, and saw 16 more; and its tokenizers."""
    folder = tmp_path_factory.mktemp("flow")
    tokenizers = prepare(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dataset, "SHARD", 16)
        patched.setattr(training, "HELD_OUT", 2)
        for samples in (16, 32):
            training.train(folder, samples, torch.device("cpu"), tokenizers, SCENES / "text_encoder")
    export(folder, 32, folder / "model")
    return folder, tokenizers


@pytest.fixture(scope="module")
def pipeline(run):
    made = StableDiffusion3Pipeline.from_pretrained(run[0] / "model", dtype=torch.float32)
    made.set_progress_bar_config(disable=True)
    return made


def test_a_training_goes_on_where_it_was_stopped_and_says_how_it_goes(run):
    lines = (run[0] / "log.jsonl").read_text().splitlines()

    assert [line for line in lines if '"held_out"' in line][-1].count('"samples": 32') == 1
    assert sum('"text_tensors_taken_over"' in line for line in lines) == 1  # only where there is no checkpoint


def test_the_model_is_small_and_is_painted_by_the_plain_pipeline_and_the_family_alike(run, pipeline):
    size = sum(file.stat().st_size for file in (run[0] / "model").rglob("*") if file.is_file())
    family = StableDiffusion3(pipeline)
    images = evaluate.paint(pipeline, ["a cat on a beach"], guidance_scale=3.0, steps=1)

    assert size <= 16e6
    assert images.shape == (1, 64, 64, 3)
    assert family.latent_shape(None, None) == (8, 16, 16)
    assert family.tokenizer.model_max_length == MAX_LENGTH


def test_a_thing_is_named_by_its_tokens_of_clip_and_of_t5(run):
    scene = Scene((Thing("cat", "purple"),), "beach")
    ids, named = dataset.tokens_naming(scene, run[1])

    assert len(ids) == len(named) == 2 * MAX_LENGTH
    t5 = run[1].t5.convert_ids_to_tokens([token for token, of in zip(ids, named, strict=True) if of == 0][-2:])
    assert t5 == ["▁purple", "▁cat"]
    assert 0 in named[:MAX_LENGTH]


def test_what_words_are_looked_at_is_caught_and_the_output_is_the_stock_processors(pipeline):
    caught: list[torch.Tensor] = []
    layer = pipeline.transformer.transformer_blocks[0].attn
    image, text = torch.randn(2, 64, 160), torch.randn(2, 2 * MAX_LENGTH, 160)
    stock = layer.processor
    expected = stock(layer, image, text)
    found = CatchJointAttention(caught)(layer, image, text)

    # A matrix that is written out, and one kernel: 1e-5 of outputs near 1.
    for ours, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-5)
    assert caught[0].shape == (2, 64, 2 * MAX_LENGTH)
    torch.testing.assert_close(caught[0].sum(-1), torch.ones(2, 64), rtol=0, atol=1e-3)  # what keeps it from 0 / 0


def test_a_model_is_shipped_with_its_table_once(run, tmp_path):
    (tmp_path / "models.toml").write_text('[[models]]\nid = "scenes"\npath = "x"\nfamily = "stable_diffusion"\n')
    for _ in range(2):
        target = tmp_path / "scenes/flow/model"
        ship(run[0] / "model", target, "scenes-flow", evaluate.row(), tmp_path / "models.toml")

    declared = (tmp_path / "models.toml").read_text()
    assert declared.count('id = "scenes-flow"') == 1
    assert 'path = "scenes/flow/model"' in declared
    assert (tmp_path / "scenes/flow/model/model_index.json").exists()


def test_the_table_is_read_before_the_model_is_shipped():
    assert load_catalogue(evaluate.TABLE)["scenes-flow"].family == "stable_diffusion_3"


def test_the_benchmark_of_quality_knows_every_kind_of_state():
    assert set(EXAMINED) == set(GIVEN) == set(INVERTED_BY) == set(get_args(State))


def test_the_model_is_served_with_the_table_that_it_was_shipped_with():
    assert evaluate.row().strip() in Path("models.toml").read_text(encoding="utf-8")
