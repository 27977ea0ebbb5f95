"""Models as people have them: single files, variants, other precisions; each loaded as it is or refused by name."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families import load
from p2p.families.revision import revision_of
from p2p.layouts import LAYOUTS
from p2p.layouts.model_files import EmbeddingFile, LoraFile, ModelFiles
from tests import families, single_file
from tests.cached_hub import COMMIT, ROOT, cached, python
from tests.json_files import changed
from tests.short_specs import NO_MAPS, SWAP, spec

pytestmark = pytest.mark.needs("latents")

#: For what a process of its own is started: one family shows it.
once = pytest.mark.parametrize("family_name", ["stable_diffusion"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def saved(build, tmp_path_factory) -> Path:
    """A folder with the tiny model as a diffusers directory, as a single file, and its files without weights."""
    folder = tmp_path_factory.mktemp("saved")
    build().save_pretrained(folder / "model")
    single_file.save(build(), folder / "painter.safetensors")
    shutil.copytree(folder / "model", folder / "config", ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


@pytest.fixture
def config(saved, tmp_path) -> Path:
    """A copy of the configurations, to be spoilt."""
    return Path(shutil.copytree(saved / "config", tmp_path / "config"))


@pytest.fixture
def opened(family_name):
    """Loads a model of the family."""
    return partial(load, family_name)


@pytest.fixture
def latents(opened):
    """The latents of an edit on a model."""
    return lambda files, **how: edit(spec(SWAP, **NO_MAPS), opened(files, **how)).latents


def test_a_single_file_with_its_configurations_is_the_model(saved, opened):
    files = ModelFiles(str(saved / "painter.safetensors"), config=str(saved / "config"))

    of_file, of_folder = (edit(spec(SWAP), opened(model)) for model in (files, str(saved / "model")))

    assert torch.equal(of_file.latents, of_folder.latents)
    assert [picture.tobytes() for picture in of_file.images] == [picture.tobytes() for picture in of_folder.images]


@once
def test_a_single_file_of_the_second_version_is_the_model(saved, tmp_path, latents, build):
    """Stable Diffusion 2.x: the text encoder has OpenCLIP's names, and the projections are linear."""
    pipeline = build(unet={"use_linear_projection": True}, prediction_type="v_prediction")
    pipeline.save_pretrained(tmp_path / "model")
    save_file(single_file.state_dict(pipeline, second_version=True), tmp_path / "second.safetensors")

    made = latents(ModelFiles(str(tmp_path / "second.safetensors"), config=str(tmp_path / "model")))

    assert torch.equal(made, latents(str(tmp_path / "model")))


def test_a_single_file_is_loaded_without_a_network(saved, family_name):
    """Every connection is refused, and the hub is not said to be offline."""
    code = f"""
import socket
def refused(*_): raise AssertionError("a connection was tried")
socket.socket.connect = socket.getaddrinfo = refused
from p2p.families import load
from p2p.layouts import LAYOUTS
from p2p.layouts.model_files import ModelFiles

family = load({family_name!r}, ModelFiles({str(saved / "painter.safetensors")!r}, config={str(saved / "config")!r}))
print(family.tokenizer.model_max_length)
"""
    env = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)

    assert ran.stdout.split() == ["24"], ran.stderr


@once
def test_the_configurations_of_a_single_file_may_be_on_the_hub(saved, tmp_path):
    cached(tmp_path / "cache", "somebody/painter", saved / "config")
    files = f'ModelFiles({str(saved / "painter.safetensors")!r}, {COMMIT!r}, "somebody/painter")'
    code = (
        "from p2p.families import load; from p2p.layouts.model_files import ModelFiles; "
        f"print(load('stable_diffusion', {files}).revision)"
    )

    ran = python(code, tmp_path / "cache")

    assert ran.stdout.startswith(f"{COMMIT}+"), ran.stderr


def test_a_single_file_with_a_scheduler_that_is_not_handled_gets_a_close_one(saved, config, opened):
    changed(config / "model_index.json", scheduler=["diffusers", "DPMSolverSinglestepScheduler"])
    files = ModelFiles(str(saved / "painter.safetensors"), config=str(config))

    assert edit(spec(SWAP, **NO_MAPS), opened(files)).scheduler == "dpm_solver_multistep"


UNUSED = {
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
}


def test_parts_that_the_configurations_name_and_nobody_uses_need_not_be_in_a_single_file(
    saved, config, latents, family_name
):
    unused = {part: UNUSED[part] for part in LAYOUTS[family_name].unused}
    changed(config / "model_index.json", **unused, requires_safety_checker=True)

    made = latents(ModelFiles(str(saved / "painter.safetensors"), config=str(config)))

    assert torch.equal(made, latents(str(saved / "model")))


def test_a_single_file_of_half_precision_is_the_directory_of_the_same_weights(saved, tmp_path, latents, build):
    half = build().to(torch.float16)
    half.save_pretrained(tmp_path / "half")
    file = single_file.save(half, tmp_path / "half.safetensors")
    files = ModelFiles(str(file), config=str(saved / "config"))

    for dtype in (torch.float32, torch.float16):
        assert torch.equal(latents(files, dtype=dtype), latents(str(tmp_path / "half"), dtype=dtype))


def test_a_single_file_may_hold_what_is_not_loaded(saved, tmp_path, latents, family_name):
    """Trainers leave averaged weights, losses and counters there."""
    encoder = "conditioner.embedders.0." if family_name == "stable_diffusion_xl" else "cond_stage_model."
    state = load_file(saved / "painter.safetensors") | {
        "model_ema.diffusion_modelinput_blocks00weight": torch.zeros(2),
        "alphas_cumprod": torch.zeros(1000),
        f"{encoder}transformer.text_model.embeddings.position_ids": torch.arange(24)[None],
        "first_stage_model.loss.logvar": torch.zeros(()),
    }
    save_file(state, tmp_path / "more.safetensors")

    made = latents(ModelFiles(str(tmp_path / "more.safetensors"), config=str(saved / "config")))

    assert torch.equal(made, latents(str(saved / "model")))


def _without(begin: str):
    return lambda state: {name: weight for name, weight in state.items() if not name.startswith(begin)}


def _widened(end: str, sides: tuple[int, ...]):
    return lambda state: {name: torch.zeros(sides) if name.endswith(end) else weight for name, weight in state.items()}


#: Files that are not the model which the configurations describe, and what is said.
OTHER_FILES = {
    "FLUX": (lambda state: {"double_blocks.0.img_attn.qkv.weight": torch.zeros(2)}, "is a FLUX model"),
    "SD3": (lambda state: {"model.diffusion_model.joint_blocks.0.x": torch.zeros(2)}, "is a Stable Diffusion 3 model"),
    "refiner": (
        lambda state: {"conditioner.embedders.0.model.ln_final.bias": torch.zeros(2)},
        "is SDXL's refiner, and stable_diffusion",
    ),
    "LoRA": (
        lambda state: {"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.zeros(2, 2)},
        "is a LoRA: name it in `loras`",
    ),
    "textual inversion": (lambda state: {"emb_params": torch.zeros(1, 16)}, "name it in `embeddings`"),
    "textual inversion of SDXL": (
        lambda state: {"clip_l": torch.zeros(1, 16), "clip_g": torch.zeros(1, 32)},
        "name it in `embeddings`",
    ),
    "ControlNet": (lambda state: {"control_model.input_hint_block.0.weight": torch.zeros(2)}, "is a ControlNet"),
    "one part": (lambda state: {"down_blocks.0.resnets.0.norm1.weight": torch.zeros(2)}, "is one part of a diffusers"),
    "no autoencoder": (_without("first_stage_model."), "holds no vae"),
    "network alone": (
        lambda state: {n: w for n, w in state.items() if n.startswith("model.")},
        "holds no vae and no text_encoder",
    ),
    "nothing": (lambda state: {"x": torch.zeros(1)}, "holds no unet and no vae and no text_encoder"),
    "inpainting": (
        _widened("input_blocks.0.0.weight", (8, 9, 3, 3)),
        r"has in_channels 9 (an inpainting model's) in its unet, and `config` says 4",
    ),
    "other text": (_widened("attn2.to_k.weight", (8, 24)), "has cross_attention_dim 24 in its unet, and `config`"),
    "other words": (_widened("token_embedding.weight", (99, 16)), "has vocab_size 99 in its text_encoder"),
    "lacking weights": (_without("model.diffusion_model.middle_block."), "describes: it lacks weights"),
    "lacking weights of the autoencoder": (_without("first_stage_model.encoder."), "describes: it lacks weights"),
    "lacking weights of a text encoder": (
        lambda state: {n: w for n, w in state.items() if "encoder.layers.0." not in n},
        "describes: it lacks weights of its text_encoder",
    ),
    "other width": (_widened("middle_block.1.proj_in.weight", (16, 8, 1, 1)), "is not of the model that `config`"),
    "more weights": (
        lambda state: state | {"model.diffusion_model.input_blocks.9.0.op.weight": torch.zeros(2)},
        "weights of a unet, and `config` describes one of",
    ),
    "another prediction": (
        lambda state: state | {"v_pred": torch.zeros(0)},
        'was trained with prediction_type "v_prediction" (it has a tensor v_pred), and `config` says "epsilon": set '
        '"prediction_type": "v_prediction" in scheduler/scheduler_config.json of `config`',
    ),
    "another end of the noise": (
        lambda state: state | {"ztsnr": torch.zeros(0)},
        "was trained with rescale_betas_zero_snr true (it has a tensor ztsnr), and `config` says false",
    ),
    "Playground": (
        lambda state: state | {"edm_mean": torch.zeros(4), "edm_std": torch.ones(4)},
        "was trained for the noise of EDM (edm_mean), and none of its schedulers is here: set `path` to another file",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), OTHER_FILES.values(), ids=OTHER_FILES)
def test_a_single_file_of_another_model_is_refused_with_what_was_found_and_wanted(saved, tmp_path, spoil, said, opened):
    state = spoil(load_file(saved / "painter.safetensors"))
    save_file(state, tmp_path / "other.safetensors")

    with pytest.raises(UnsupportedModel, match=f"^{tmp_path}/other.safetensors .*{re.escape(said)}"):
        opened(ModelFiles(str(tmp_path / "other.safetensors"), config=str(saved / "config")))


#: What is said of a single file of another family's model, by the family that is declared.
OTHER_FAMILIES = {
    "stable_diffusion": (
        "stable_diffusion_xl",
        "is an SDXL model (the family stable_diffusion_xl), and stable_diffusion needs unet, vae and text_encoder in it"
    ),
    "stable_diffusion_xl": (
        "stable_diffusion",
        "is a Stable Diffusion 1.x model (the family stable_diffusion), and stable_diffusion_xl needs unet, vae, "
        "text_encoder and text_encoder_2 in it",
    ),
}  # fmt: skip


def test_a_single_file_of_another_family_is_refused_with_what_it_is(saved, tmp_path, opened, family_name):
    other, said = OTHER_FAMILIES[family_name]
    file = single_file.save(families.PIPELINES[other](), tmp_path / "other.safetensors")

    with pytest.raises(UnsupportedModel, match=f"^{file} {re.escape(said)}"):
        opened(ModelFiles(str(file), config=str(saved / "config")))


SECOND = "conditioner.embedders.1.model."
#: Files of SDXL whose second text encoder is not the one that the configurations describe.
OTHER_SECOND_ENCODERS = {
    "none": (_without(SECOND), "holds no text_encoder_2, and stable_diffusion_xl needs"),
    "other width": (_widened(f"{SECOND}token_embedding.weight", (549, 24)), "hidden_size 24 in its text_encoder_2"),
    "other words": (_widened(f"{SECOND}token_embedding.weight", (99, 32)), "vocab_size 99 in its text_encoder_2"),
    "longer prompts": (_widened(f"{SECOND}positional_embedding", (77, 32)), "max_position_embeddings 77 in its text_"),
    "other projection": (_widened(f"{SECOND}text_projection", (32, 40)), "projection_dim 40 in its text_encoder_2"),
    "other sizes": (_widened("label_emb.0.0.weight", (32, 99)), "projection_class_embeddings_input_dim 99 in its unet"),
    "lacking weights": (_without(f"{SECOND}transformer.resblocks.1."), "it lacks weights of its text_encoder_2"),
}


@pytest.mark.parametrize("family_name", ["stable_diffusion_xl"], indirect=True, scope="module")
@pytest.mark.parametrize(("spoil", "said"), OTHER_SECOND_ENCODERS.values(), ids=OTHER_SECOND_ENCODERS)
def test_a_single_file_with_another_second_text_encoder_is_refused(saved, tmp_path, spoil, said, opened):
    save_file(spoil(load_file(saved / "painter.safetensors")), tmp_path / "other.safetensors")

    with pytest.raises(UnsupportedModel, match=f"^{tmp_path}/other.safetensors .*{re.escape(said)}"):
        opened(ModelFiles(str(tmp_path / "other.safetensors"), config=str(saved / "config")))


def test_a_single_file_that_says_what_it_was_trained_for_is_loaded_with_a_scheduler_for_it(saved, config, opened):
    trained = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    changed(config / "scheduler" / "scheduler_config.json", **trained)
    said = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    save_file(load_file(saved / "painter.safetensors") | said, config / "trained.safetensors")

    family = opened(ModelFiles(str(config / "trained.safetensors"), config=str(config)))

    assert trained.items() <= family.pipeline.scheduler.config.items()


def test_the_autoencoder_of_a_single_file_that_overflows_in_half_precision_runs_in_float32(saved, opened, family_name):
    files = ModelFiles(str(saved / "painter.safetensors"), config=str(saved / "config"))

    # SDXL's does; those of Stable Diffusion do not (`p2p.families.stable_diffusion_xl`).
    wanted = {"stable_diffusion": torch.float16, "stable_diffusion_xl": torch.float32}[family_name]
    assert opened(files, dtype=torch.float16).pipeline.vae.dtype is wanted


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("painter.ckpt", b"PK", "is no .safetensors file, and other formats may run code"),
        ("painter.safetensors", b"<html>", "is damaged"),
        ("painter.safetensors", None, "is not there, and a single file is wanted"),
    ],
)
def test_a_single_file_that_cannot_be_read_is_refused(saved, tmp_path, name, content, said, opened):
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(UnsupportedModel, match=said):
        opened(ModelFiles(str(tmp_path / name), config=str(saved / "config")))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"path": "model", "config": "config"}, "is a folder, and `config` is for single files: take `config` out"),
        ({"path": "painter.safetensors", "config": "model/unet"}, "has no model_index.json: set `config` to"),
        ({"path": "painter.safetensors", "config": "gone"}, "has no model_index.json"),
        ({"path": "painter.safetensors", "config": "config", "variant": "fp16"}, "take `variant` out"),
        ({"path": "painter.safetensors"}, "which has no configuration in it: set `config` to a folder"),
    ],
)
def test_files_that_contradict_each_other_are_refused(saved, files, said, opened):
    placed = {name: value if name == "variant" else str(saved / value) for name, value in files.items()}

    with pytest.raises(UnsupportedModel, match=said):
        opened(ModelFiles(**placed))


def test_a_configuration_that_lacks_a_part_is_refused(saved, config, opened):
    shutil.rmtree(config / "vae")
    (config / "scheduler" / "scheduler_config.json").unlink()

    with pytest.raises(UnsupportedModel, match=r"vae, in `config`, has no config.json.*no scheduler_config.json"):
        opened(ModelFiles(str(saved / "painter.safetensors"), config=str(config)))


@pytest.fixture(scope="module")
def both(build, tmp_path_factory) -> Path:
    """A model with plain weights, and other ones under fp16."""
    folder = tmp_path_factory.mktemp("both")
    build().save_pretrained(folder)
    other = build()
    with torch.no_grad():
        other.unet.conv_out.bias.add_(0.5)
    other.to(torch.float16).save_pretrained(folder, variant="fp16")
    return folder


def test_the_variant_that_is_named_is_loaded_and_not_the_plain_weights(both, saved, latents):
    plain, half = latents(str(both)), latents(ModelFiles(str(both), variant="fp16"))

    assert torch.equal(plain, latents(str(saved / "model")))
    assert (plain - half).abs().max() > 0.1


def test_a_variant_that_one_part_alone_has_is_loaded_with_the_others_plain_weights(both, tmp_path, latents):
    model = Path(shutil.copytree(both, tmp_path / "model"))
    for part in ("vae", "text_encoder"):
        for file in (model / part).glob("*.fp16.safetensors"):
            file.unlink()

    assert latents(ModelFiles(str(model), variant="fp16")).isfinite().all()


@pytest.mark.parametrize(
    ("variant", "keep", "said"),
    [
        ("bf16", "*", "of the variant bf16 of .*unet.*, and has fp16 and plain ones: set `variant` to fp16, or"),
        ("fp16", "[!.]*[!6].safetensors", "and has plain ones: leave `variant` out"),
        ("non_ema", "*.fp16.safetensors", "and has fp16 ones: set `variant` to fp16"),
    ],
)  # fmt: skip
def test_a_variant_that_is_not_there_is_refused_with_those_that_are(both, tmp_path, variant, keep, said, opened):
    model = Path(shutil.copytree(both, tmp_path / "model"))
    for file in model.rglob("*.safetensors"):
        if not file.match(keep):
            file.unlink()

    with pytest.raises(UnsupportedModel, match=said):
        opened(ModelFiles(str(model), variant=variant))


@pytest.mark.parametrize(
    ("family_name", "variant", "said"),
    [
        ("stable_diffusion", "fp16", ""),
        ("stable_diffusion", "bf16", "no weights of the variant bf16 of"),
        ("stable_diffusion_xl", "fp16", ""),
    ],
    indirect=["family_name"],
    scope="module",
)
def test_a_variant_on_the_hub_is_looked_for_by_the_files_names(both, family_name, tmp_path, variant, said):
    cached(tmp_path / "cache", "somebody/painter", both)
    code = (
        "from p2p.families import load; from p2p.layouts.model_files import ModelFiles; "
        f"print(load({family_name!r}, ModelFiles('somebody/painter', {COMMIT!r}, variant={variant!r})).revision)"
    )

    ran = python(code, tmp_path / "cache")

    if said:
        assert f"UnsupportedModel: somebody/painter at revision {COMMIT} has {said}" in ran.stderr
        assert "and has fp16 and plain ones: set `variant` to fp16" in ran.stderr
    else:
        assert ran.stdout.startswith(f"{COMMIT}+"), ran.stderr


def test_a_revision_is_another_one_for_every_file_that_decides(saved, both, tmp_path):
    """Each of these is a model whose pictures differ, or may."""
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(2)}, one)
    save_file({"x": torch.ones(2)}, other)
    config = Path(shutil.copytree(saved / "config", tmp_path / "config"))
    (config / "tokenizer" / "merges.txt").write_text("a b\n")
    spiece = Path(shutil.copytree(saved / "config", tmp_path / "spiece"))
    (spiece / "tokenizer" / "spiece.model").write_bytes(b"a")
    path, plain = str(both), str(saved / "config")
    revisions = [
        revision_of(ModelFiles(path)),
        revision_of(ModelFiles(path), torch.bfloat16),
        revision_of(ModelFiles(path, variant="fp16")),
        revision_of(ModelFiles(str(one), config=plain)),
        revision_of(ModelFiles(str(other), config=plain)),
        revision_of(ModelFiles(str(one), config=str(config))),
        revision_of(ModelFiles(str(one), config=str(spiece))),
        revision_of(ModelFiles(path, loras=(LoraFile(str(one), 0.5),))),
        revision_of(ModelFiles(path, loras=(LoraFile(str(one), 0.8),))),
        revision_of(ModelFiles(path, loras=(LoraFile(str(other), 0.8),))),
        revision_of(ModelFiles(path, loras=(LoraFile(str(one), 0.8), LoraFile(str(other), 0.8)))),
        revision_of(ModelFiles(path, loras=(LoraFile(str(other), 0.8), LoraFile(str(one), 0.8)))),
        revision_of(ModelFiles(path, embeddings=(EmbeddingFile(str(one), "<x>"),))),
        revision_of(ModelFiles(path, embeddings=(EmbeddingFile(str(one), "<y>"),))),
        revision_of(ModelFiles("some/model", "main")),
        revision_of(ModelFiles("some/model", "main", loras=(LoraFile(str(one), 0.5),))),
    ]

    assert len(set(revisions)) == len(revisions)
    assert revisions[0] == revision_of(ModelFiles(str(shutil.copytree(both, tmp_path / "copy"))))


def test_an_edit_of_another_precision_is_of_another_revision(saved, opened):
    families = [opened(str(saved / "model"), dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]

    assert families[1].revision.startswith(f"{families[0].revision}+")
