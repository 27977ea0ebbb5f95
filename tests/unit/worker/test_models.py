"""A declared model is loaded, or refused with one line before any job is taken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from jobs.catalogue import load_catalogue
from p2p.errors import UnsupportedModel, UnsupportedSize
from tests import lora_files, tiny, tiny_xl
from tests.cached_hub import COMMIT, ROOT, cached, python
from tests.declared import declared as declaration
from tests.json_files import changed
from worker.__main__ import _declared
from worker.models import load_family
from worker.settings import WorkerSettings


@pytest.fixture
def declared(tmp_path):
    """A declaration of a tiny model, with lines changed or added."""
    tiny.save(tmp_path / "model")

    def of(old: str = "", new: str = "", *, added: str = ""):
        (tmp_path / "models.toml").write_text(declaration().replace(old, new) + added + "\n")
        return load_catalogue(tmp_path / "models.toml")["tiny"]

    return of


def test_a_model_of_which_little_is_said_is_loaded(declared):
    family = load_family(declared(), device="cpu")

    assert (family.tokenizer.model_max_length, family.latent_shape(32, 32)) == (24, (4, 16, 16))


def test_more_tokens_than_the_model_reads_are_refused(declared):
    with pytest.raises(UnsupportedModel, match="max_tokens is 77 and the model reads 24: set it to 24"):
        load_family(declared(added="max_tokens = 77"), device="cpu")


def test_fewer_tokens_than_the_model_reads_are_as_declared(declared):
    assert load_family(declared(added="max_tokens = 20"), device="cpu")


def test_the_loras_that_requests_may_name_are_there_and_another_models_end_the_worker(declared, tmp_path):
    lora_files.saved(tmp_path / "ink.safetensors", lora_files.trained(tiny.pipeline()))
    other = tiny_xl.pipeline()
    lora_files.saved(tmp_path / "foreign.safetensors", lora_files.trained(other, text=False))

    def choices(file: str) -> str:
        return f'lora_choices = [{{ id = "ink", path = "{file}.safetensors" }}]'

    family = load_family(declared(added=choices("ink")), device="cpu")
    assert family.loras.files == {"ink": str(tmp_path / "ink.safetensors")}
    with pytest.raises(UnsupportedModel, match=r"foreign\.safetensors is of a model whose unet\.cross_attention_dim"):
        load_family(declared(added=choices("foreign")), device="cpu")


@pytest.mark.parametrize("sizes", ["[[31, 32]]", "[[32, 32], [40, 25]]"])
def test_a_size_that_the_model_cannot_draw_is_refused(declared, sizes):
    with pytest.raises(UnsupportedSize, match="multiples of 2"):
        load_family(declared("[[32, 32]]", sizes), device="cpu")


def test_a_scheduler_that_is_declared_runs_in_the_models_own_ones_place(declared):
    family = load_family(declared(added='scheduler = "euler"'), device="cpu")

    assert type(family.scheduler(3)).__name__ == "EulerDiscreteScheduler"


@pytest.mark.parametrize(
    ("setting", "line", "dtype"),
    [
        ("auto", 'torch_dtype = "bfloat16"', torch.bfloat16),
        ("float32", 'torch_dtype = "bfloat16"', torch.float32),
        ("auto", "", torch.float32),
    ],
)
def test_a_models_precision_is_that_of_its_declaration_if_the_worker_is_set_to_none(declared, setting, line, dtype):
    family = load_family(declared(added=line), device="cpu", dtype=setting)

    assert family.dtype is dtype


def _inpainting(model: Path) -> None:
    changed(model / "unet/config.json", in_channels=9)


def _damaged(model: Path) -> None:
    (model / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"damaged")


def _of_other_shapes(model: Path) -> None:
    changed(model / "unet/config.json", block_out_channels=[16, 16, 16])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_inpainting, "unet has in_channels 9 (an inpainting model's)"),
        (lambda model: shutil.rmtree(model / "vae"), "vae has no weights"),
        (lambda model: shutil.rmtree(model), "is not there: correct `path`"),
        (_damaged, "cannot be loaded"),
        (_of_other_shapes, "cannot be loaded"),
    ],
)
def test_a_worker_of_a_model_that_it_cannot_serve_ends_with_one_line(declared, tmp_path, spoil, said):
    declared()
    spoil(tmp_path / "model")

    ran = subprocess.run(
        [sys.executable, "-m", "worker", "--model", "tiny"],
        cwd=ROOT,
        env={**os.environ, "MODELS_FILE": str(tmp_path / "models.toml"), "REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
    )

    last = ran.stderr.splitlines()[-1]
    assert ran.returncode == 1
    assert last.startswith(f"model tiny cannot be loaded from {tmp_path / 'model'}: ")
    assert said in last


def test_a_model_on_the_hub_is_loaded_from_the_cache(declared, tmp_path):
    declared()
    for file in (tmp_path / "model").rglob("*.safetensors"):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    cached(tmp_path / "cache", "somebody/painter", tmp_path / "model")

    load = f'from p2p.families import load; family = load("stable_diffusion", "somebody/painter", revision="{COMMIT}")'
    ran = python(f"{load}; print(family.revision, family.tokenizer.model_max_length)", tmp_path / "cache")

    assert ran.stdout.split() == [COMMIT, "24"], ran.stderr


def test_a_model_on_the_hub_that_is_not_handled_is_refused_by_its_small_files(declared, tmp_path):
    declared()
    _inpainting(tmp_path / "model")
    for file in (tmp_path / "model").rglob("*.safetensors"):
        file.unlink()
    cached(tmp_path / "cache", "somebody/painter", tmp_path / "model")

    ran = python('from p2p.families import load; load("stable_diffusion", "somebody/painter")', tmp_path / "cache")

    assert "UnsupportedModel: unet has in_channels 9" in ran.stderr


def test_a_worker_that_is_given_no_model_serves_the_first_of_the_file(tiny_models):
    settings = WorkerSettings(models_file=tiny_models)

    assert _declared(None, settings)[0].id == next(iter(load_catalogue(tiny_models)))
    assert [each.id for each in _declared(["tiny-too"], settings)] == ["tiny-too"]
