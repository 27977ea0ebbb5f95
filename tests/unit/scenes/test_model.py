"""The model that is shipped is what docs/library.md says it is."""

import json

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors import safe_open

from p2p.families.stable_diffusion import StableDiffusion
from scenes.train import MODEL

MEGABYTE = 10**6


@pytest.fixture(scope="module")
def pipeline():
    return StableDiffusionPipeline.from_pretrained(MODEL, use_safetensors=True)


def test_it_loads_with_no_class_of_our_own(pipeline):
    assert type(pipeline.unet).__module__.startswith("diffusers.")
    assert isinstance(pipeline.scheduler, DDIMScheduler)
    assert type(pipeline.tokenizer).__name__ == "CLIPTokenizer"
    assert type(pipeline.text_encoder).__name__ == "CLIPTextModel"


def test_it_is_on_stable_diffusions_betas(pipeline):
    config = pipeline.scheduler.config

    assert (config.beta_start, config.beta_end, config.beta_schedule) == (0.00085, 0.012, "scaled_linear")


def test_its_words_reach_the_picture_at_16x16_and_below(pipeline):
    family = StableDiffusion(pipeline)

    assert family.latent_shape(None, None) == (8, 16, 16)
    assert {site.factor for site in family.attention_sites()} == {1, 2}
    assert family.map_factor == 1
    assert {site.factor for site in family.attention_sites() if site.is_carried} == {1, 2}


def test_it_is_small_and_in_half_precision():
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 16 * MEGABYTE
    assert sum(path.stat().st_size for path in files) <= 40 * MEGABYTE

    for path in MODEL.rglob("*.safetensors"):
        with safe_open(path, "pt") as tensors:
            assert {tensors.get_tensor(name).dtype for name in tensors.keys()} <= {torch.float16, torch.int64}  # noqa: SIM118


def test_it_knows_how_many_samples_trained_it():
    assert json.loads((MODEL / "training.json").read_text())["samples_seen"] > 0
