"""A worker of several models refuses to start with one that it could not serve, without loading any."""

import os
import subprocess
import sys

import pytest
import torch

from jobs.catalogue import load_catalogue
from tests import lora_files, single_file, tiny, tiny_xl
from tests.cached_hub import ROOT
from tests.declared import declared as declaration
from tests.json_files import changed
from worker.checks import weights_of_checked
from worker.models import load_family
from worker.settings import WorkerSettings
from worker.several import _expected


@pytest.fixture
def declared(tmp_path):
    """Declares models of the folder, with lines changed or added; all of them are the same tiny one."""

    def of(*names: str, old: str = "", new: str = "", added: str = "", settings: dict | None = None):
        for name in names:
            tiny.save(tmp_path / name)
        text = "".join(declaration(name, path=name).replace(old, new) + added + "\n" for name in names)
        (tmp_path / "models.toml").write_text(text)
        return list(load_catalogue(tmp_path / "models.toml").values())

    return of


def refusal(declarations, **settings) -> list[str]:
    """The lines with which the worker ends."""
    with pytest.raises(SystemExit) as ended:
        _expected(declarations, WorkerSettings(device="cpu", **settings))
    return str(ended.value).splitlines()


def test_models_that_can_be_served_are_expected_with_the_size_of_their_weights(declared):
    one, other = declared("one", "other")
    family = load_family(one, device="cpu")
    size = sum(weight.nbytes for network in family.networks for weight in network.parameters())

    assert _expected([one, other], WorkerSettings(device="cpu")) == {"one": size, "other": size}
    assert _expected([one], WorkerSettings(device="cpu", dtype="bfloat16")) == {"one": size // 2}


def test_each_model_that_cannot_be_served_is_named(declared, tmp_path):
    declarations = declared("one", "two", "three")
    changed(tmp_path / "one" / "unet" / "config.json", in_channels=9)
    (tmp_path / "three" / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"damaged")

    first, second = refusal(declarations)

    assert first.startswith(f"model one cannot be loaded from {tmp_path / 'one'}: unet has in_channels 9")
    assert second.startswith(f"model three cannot be loaded from {tmp_path / 'three'}: ")
    assert second.endswith("(`python -m admin models check` goes through all models)")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"added": "max_tokens = 77"}, "max_tokens is 77 and the model reads 24: set it to 24"),
        ({"old": "[[32, 32]]", "new": "[[32, 32], [40, 25]]"}, "40x25 pixels: both sides must be multiples of 2"),
        ({"old": "stable_diffusion", "new": "another"}, "'another' is not a model family"),
        ({"added": 'loras = [{ path = "gone.safetensors" }]'}, "gone.safetensors is not there"),
        ({"added": 'config = "one"'}, "is a folder, and `config` is for single files"),
    ],
)
def test_what_is_declared_and_cannot_be_is_refused(declared, change, said):
    (line,) = refusal(declared("one", **change))

    assert said in line


def test_a_model_that_is_larger_than_the_budget_is_refused(declared):
    (line,) = refusal(declared("one"), worker_memory="100KB")

    assert "model one has weights of 5" in line
    assert "WORKER_MEMORY is 100000: raise it, or have another worker serve this model" in line


@pytest.mark.parametrize("memory", ["0", "-1GB", "much", ""])
def test_a_budget_that_is_none_is_refused(memory, monkeypatch):
    monkeypatch.setenv("WORKER_MEMORY", memory)

    with pytest.raises(ValueError, match="worker_memory"):
        WorkerSettings()


def weights_loaded(declaration) -> int:
    family = load_family(declaration, device="cpu")
    return sum(weight.numel() for network in family.networks for weight in network.parameters())


def _single_file(folder):
    single_file.save(tiny.pipeline(), folder / "one.safetensors")
    return {"old": 'path = "one"', "new": 'path = "one.safetensors"\nconfig = "one"'}


def _in_shards(folder):
    tiny.pipeline().save_pretrained(folder / "one", max_shard_size="100KB")
    (folder / "one" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    return {}


def _half_precision_beside_the_plain(folder):
    tiny.pipeline().to(torch.float16).save_pretrained(folder / "one", variant="fp16")
    return {"added": 'variant = "fp16"'}


def _with_a_lora(folder):
    lora_files.saved(folder / "ink.safetensors", lora_files.trained(tiny.pipeline()))
    return {"added": 'loras = [{ path = "ink.safetensors" }]'}


@pytest.mark.parametrize("made", [_single_file, _in_shards, _half_precision_beside_the_plain, _with_a_lora])
def test_the_weights_of_every_kind_of_files_are_counted_as_they_are_loaded(declared, tmp_path, made):
    declared("one")
    (declaration,) = _declared_again(tmp_path, **made(tmp_path))

    assert weights_of_checked(declaration) == weights_loaded(declaration)


def _declared_again(folder, old: str = "", new: str = "", added: str = ""):
    (folder / "models.toml").write_text(declaration("one", path="one").replace(old, new) + added + "\n")
    return load_catalogue(folder / "models.toml").values()


def test_the_weights_of_both_text_encoders_of_sdxl_are_counted(tmp_path):
    tiny_xl.pipeline().save_pretrained(tmp_path / "one")
    (declaration,) = _declared_again(tmp_path, "stable_diffusion", "stable_diffusion_xl")

    assert weights_of_checked(declaration) == weights_loaded(declaration)


def ended(folder, *models: str) -> subprocess.CompletedProcess:
    """A worker of some models that ends before it asks Redis for jobs."""
    named = [argument for model in models for argument in ("--model", model)]
    return subprocess.run(
        [sys.executable, "-m", "worker", *named],
        cwd=ROOT,
        env={**os.environ, "MODELS_FILE": str(folder / "models.toml"), "REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
    )


def test_a_worker_with_one_model_that_it_cannot_serve_ends_before_it_takes_a_job(declared, tmp_path):
    declared("one", "two")
    changed(tmp_path / "two" / "unet" / "config.json", in_channels=9)

    ran = ended(tmp_path, "one", "two")

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(f"model two cannot be loaded from {tmp_path / 'two'}: unet has")


@pytest.mark.parametrize(
    ("models", "said"),
    [(("one", "gone"), "declares no model 'gone'"), (("one", "two", "one"), "--model one is given 2 times")],
)
def test_models_that_are_not_declared_or_named_twice_are_refused(declared, tmp_path, models, said):
    declared("one", "two")

    ran = ended(tmp_path, *models)

    assert (ran.returncode, said in ran.stderr) == (1, True)
