"""`python -m admin models check` says what keeps a model from being served, and what mends it."""

import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from admin.models_check import checked, remarks
from jobs.catalogue import load_catalogue
from tests import families, lora_files, single_file, tiny
from tests.admin_command import admin
from tests.declared import declared as declaration
from tests.json_files import changed


@pytest.fixture
def check(model, tmp_path):
    """What is said of the model, declared with other lines."""

    def said(old: str = "", new: str = "", *, added: str = "") -> list[str]:
        (tmp_path / "models.toml").write_text(declaration("tiny").replace(old, new) + added + "\n")
        return list(checked(load_catalogue(tmp_path / "models.toml")["tiny"]))

    return said


def test_of_a_model_that_can_be_served_nothing_is_wrong(check):
    assert check() == []


def _only_parts_of_the_tokenizer(model: Path) -> None:
    whole = json.loads((model / "tokenizer/tokenizer.json").read_text())["model"]
    (model / "tokenizer/vocab.json").write_text(json.dumps(whole["vocab"]))
    (model / "tokenizer/merges.txt").write_text("\n".join(" ".join(pair) for pair in whole["merges"]))
    (model / "tokenizer/tokenizer.json").unlink()


def _no_safety_checker(model: Path) -> None:
    changed(model / "model_index.json", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])


def _fp16(model: Path) -> None:
    shutil.rmtree(model)
    tiny.pipeline().to(torch.float16).save_pretrained(model, variant="fp16")


def _pickles(model: Path) -> None:
    shutil.rmtree(model)
    tiny.pipeline().save_pretrained(model, safe_serialization=False)


def _single_file(model: Path) -> None:
    shutil.rmtree(model)
    model.write_bytes(b"\x00\xff")


def _single_file_in_a_folder(model: Path) -> None:
    shutil.rmtree(model)
    model.mkdir()
    (model / "painter.safetensors").write_bytes(b"\x00\xff")


def _other_scheduler(model: Path) -> None:
    changed(model / "model_index.json", scheduler=["diffusers", "EDMEulerScheduler"])


def _close_scheduler(model: Path) -> None:
    changed(model / "model_index.json", scheduler=["diffusers", "DPMSolverSinglestepScheduler"])


def _cut_short(model: Path) -> None:
    weights = model / "unet/diffusion_pytorch_model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)


def _no_limit(model: Path) -> None:
    for file, key in (("tokenizer/tokenizer_config", "model_max_length"), ("text_encoder/config", None)):
        path = model / f"{file}.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({k: v for k, v in content.items() if k not in (key, "max_position_embeddings")}))


@pytest.mark.parametrize(
    ("make", "remark"),
    [
        (_only_parts_of_the_tokenizer, "reads 24 tokens"),
        (_no_safety_checker, "is served without its safety_checker"),
        (_fp16, "has weights of the variant fp16"),
        (
            _close_scheduler,
            "DPMSolverSinglestepScheduler, the model's own scheduler, is not handled, and dpm_solver_multistep runs in "
            "its place",
        ),
    ],
)
def test_what_is_unusual_and_served_all_the_same_is_remarked(check, model, tmp_path, make, remark):
    make(model)

    assert check() == []
    assert remark in remarks(load_catalogue(tmp_path / "models.toml")["tiny"])


SPOILT = {
    "inpainting": (lambda model: changed(model / "unet/config.json", in_channels=9), "in_channels 9", "set `path` to"),
    "SDXL": (
        lambda model: changed(model / "model_index.json", _class_name="StableDiffusionXLPipeline"),
        "model_index is StableDiffusionXLPipeline",
        "set `path` to",
    ),
    "scheduler": (_other_scheduler, "scheduler is EDMEulerScheduler", 'say `scheduler = "ddim"`'),
    "pickles": (_pickles, "are pickles", "convert them, in their place: python -c "),
    "single file": (
        _single_file,
        "is a single-file checkpoint",
        "set `path` to the new directory: python",
    ),
    "single file in a folder": (_single_file_in_a_folder, "painter.safetensors is a single-file", "from_single_file"),
    "gone": (lambda model: shutil.rmtree(model), "is not there", "correct `path`"),
    "no index": (lambda model: (model / "model_index.json").unlink(), "has no model_index.json", "set `path`"),
    "no weights": (lambda model: shutil.rmtree(model / "vae"), "vae has no weights", "fetch the model again"),
    "weights cut short": (_cut_short, "unet/diffusion_pytorch_model.safetensors is damaged (", "fetch this file again"),
    "no tokenizer": (lambda model: shutil.rmtree(model / "tokenizer"), "no tokenizer at", "set `tokenizer` to where"),
    "no limit": (_no_limit, "says how many tokens", "set `max_tokens` (77 for CLIP)"),
    "text encoder": (
        lambda model: changed(model / "text_encoder/config.json", vocab_size=100),
        "the text encoder knows 100",
        "set `tokenizer`",
    ),
}


@pytest.mark.parametrize(("spoil", "what", "mend"), SPOILT.values(), ids=SPOILT)
def test_what_is_wrong_with_a_models_files_is_said_with_what_mends_it(check, model, spoil, what, mend):
    spoil(model)

    (said,) = check()

    assert what in said
    assert mend in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"stable_diffusion"', '"stable_difusion"', 'no model family stable_difusion: set `family` to "'),
        ("[[32, 32]]", "[[33, 32], [32, 32]]", "the sides of 33x32 are no multiples of 2: set `sizes` to [[32, 32]]"),
        ("[[32, 32]]", "[[32, 32]]\nmax_tokens = 77", "max_tokens is 77 and the model reads 24: set it to 24"),
        ("[[32, 32]]", '[[32, 32]]\ntokenizer = "other.json"', "otherwise than the model's own tokenizer"),
        ("[[32, 32]]", '[[32, 32]]\ntokenizer = "gone.json"', "no tokenizer at"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_declaration_is_said_with_what_mends_it(check, tmp_path, old, new, said):
    Tokenizer(WordLevel({"?": 0}, unk_token="?")).save(str(tmp_path / "other.json"))

    (found,) = check(old, new, added="" if "max_tokens" in new else "max_tokens = 24")

    assert said in found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            '"model/model_index.json"',
            "model_index.json is only a part of a diffusers directory: name the folder above: ",
        ),
        ('"model/unet"', "unet is only a part of a diffusers directory: name the folder above: "),
        (
            '"cache/model_index.json"',
            "cache/model_index.json is only a part of a diffusers directory: name the folder ",
        ),
        (
            '"{model}"\nrevision = "main"',
            "is on this machine, and `revision` is for hub ids alone: take `revision` out",
        ),
        ('"./model"\nrevision = "main"', "./model is no hub id (owner/name): correct `path`, or take `revision` out"),
    ],
)
def test_a_path_that_names_no_model_is_said_with_the_one_to_name(check, model, tmp_path, path, said):
    (tmp_path / "cache").mkdir()  # as the hub's cache: links to files elsewhere, whose names say nothing
    (tmp_path / "cache/model_index.json").symlink_to(shutil.copy(model / "model_index.json", tmp_path / "0123abcd"))

    (found,) = check('"model"', path.format(model=model))

    assert said in found
    assert "hf download" not in found


def test_a_scheduler_that_is_declared_mends_one_that_is_not_handled(check, model):
    _other_scheduler(model)

    assert check(added='scheduler = "euler"') == []


@pytest.fixture
def files(model, tmp_path) -> Path:
    """A single file of the model, a LoRA and a textual inversion of it, beside it."""
    pipeline = tiny.pipeline()
    single_file.save(pipeline, tmp_path / "painter.safetensors")
    lora_files.saved(tmp_path / "lora.safetensors", lora_files.trained(pipeline))
    save_file({"emb_params": torch.zeros(2, 16)}, tmp_path / "toy.safetensors")
    save_file({"emb_params": torch.zeros(2, 17)}, tmp_path / "wide.safetensors")
    return tmp_path


SINGLE = 'path = "painter.safetensors"\nconfig = "model"'


@pytest.mark.parametrize(
    ("new", "added", "remark"),
    [
        (SINGLE, "", "is a single file"),
        ("", 'loras = [{ path = "lora.safetensors", weight = -0.5 }]', "has 1 LoRA fused"),
        (SINGLE, 'loras = [{ path = "lora.safetensors" }]', "has 1 LoRA fused"),
        (
            "",
            'lora_choices = [{ id = "a", path = "lora.safetensors" }]',
            "has 1 LoRA that requests may name",
        ),
        ("", 'embeddings = [{ path = "toy.safetensors", token = "<toy>" }]', "has learned <toy> (2 tokens)"),
    ],
)
def test_further_files_of_a_model_are_checked_without_torch_and_remarked(check, files, tmp_path, new, added, remark):
    old = 'path = "model"' if new else ""

    assert check(old, new, added=added) == []
    assert remark in remarks(load_catalogue(tmp_path / "models.toml")["tiny"])
    assert remark in admin(tmp_path / "models.toml").stdout


@pytest.mark.parametrize(
    ("new", "added", "said"),
    [
        (
            'path = "lora.safetensors"\nconfig = "model"',
            "",
            "is a LoRA: name it in `loras`, and stable_diffusion needs",
        ),
        ('path = "painter.safetensors"\nconfig = "gone"', "", "which `config` names, has no model_index.json: set"),
        ('path = "model"\nconfig = "model"', "", "is a folder, and `config` is for single files: take `config` out"),
        ("", 'variant = "fp16"', "no weights of the variant fp16 of"),
        ("", 'loras = [{ path = "gone.safetensors" }]', "gone.safetensors is not there, and a LoRA is wanted"),
        ("", 'loras = [{ path = "painter.safetensors" }]', "has tensors that are no LoRA's (such as "),
        ("", 'lora_choices = [{ id = "a", path = "toy.safetensors" }]', "has tensors that are no LoRA's (such as emb_"),
        ("", 'embeddings = [{ path = "wide.safetensors", token = "<x>" }]', "vectors of 17 numbers, and this model's"),
        ("", 'embeddings = [{ path = "toy.safetensors", token = "cat" }]', "is a word of the model already"),
        ("", 'embeddings = [{ path = "gone.safetensors", token = "<x>" }]', "is not there, and a textual inversion"),
        ("", 'offload = "model"', "networks of stable_diffusion stay on their device: take `offload` out"),
        ("", 'quantize = "int8"', "weights of stable_diffusion keep their precision: take `quantize` out"),
    ],
)
def test_what_is_wrong_with_further_files_of_a_model_is_said_once(check, files, new, added, said):
    (found,) = check('path = "model"' if new else "", new, added=added)

    assert said in found


#: Vectors of a textual inversion of each family.
LEARNED = {
    "stable_diffusion": {"emb_params": torch.zeros(2, 16)},
    "stable_diffusion_xl": {"clip_l": torch.zeros(2, 16), "clip_g": torch.zeros(2, 32)},
}


@pytest.fixture
def of_each_family(tmp_path) -> Path:
    """Per family a folder with a model, a single file, a LoRA and a textual inversion of it."""
    for family in families.able("single files"):
        folder, pipeline = tmp_path / family, families.PIPELINES[family]()
        pipeline.save_pretrained(folder / "model")
        single_file.save(pipeline, folder / "painter.safetensors")
        lora_files.saved(folder / "lora.safetensors", lora_files.trained(pipeline))
        save_file(LEARNED[family], folder / "toy.safetensors")
    return tmp_path


def test_the_files_of_each_family_are_checked_and_those_of_another_one_are_refused(of_each_family):
    """Each family's model with its own files, and with those of each other family."""
    models = of_each_family / "models.toml"
    for own, other in itertools.product(families.able("single files"), repeat=2):
        declared = declaration("tiny").replace("stable_diffusion", own)
        declared = declared.replace('"model"', f'"{other}/painter.safetensors"\nconfig = "{own}/model"')
        further = f"""
            loras = [{{ path = "{other}/lora.safetensors" }}]
            embeddings = [{{ path = "{other}/toy.safetensors", token = "<toy>" }}]
        """
        models.write_text(declared + further)
        model = load_catalogue(models)["tiny"]

        said = checked(model)

        if own == other:
            assert said == []
            assert {"is a single file", "has 1 LoRA fused", "has learned <toy> (2 tokens)"} <= set(remarks(model))
        else:
            files = {line.split()[0].removeprefix(f"{of_each_family}/{other}/") for line in said}
            assert files == {"painter.safetensors", "lora.safetensors", "toy.safetensors"}


def test_everything_that_is_wrong_is_said_at_once(check, model):
    changed(model / "unet/config.json", in_channels=9)
    (model / "vae/diffusion_pytorch_model.safetensors").unlink()

    assert len(check("[[32, 32]]", "[[33, 33]]\nmax_tokens = 99")) == 4
