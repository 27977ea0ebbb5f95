"""Models that a family does not handle exactly are refused with the part's name; what can be handled is loaded."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DPMSolverMultistepScheduler,
    PNDMScheduler,
    StableDiffusionLDM3DPipeline,
    UNet2DConditionModel,
)
from safetensors import SafetensorError, safe_open
from transformers import CLIPTextModelWithProjection

from p2p.attention.processors import check
from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families import FAMILIES, load
from p2p.families.stable_diffusion import StableDiffusion
from p2p.layouts import LAYOUTS
from p2p.layouts.header import damage
from p2p.layouts.hub import fetched
from p2p.layouts.weights import variant_of
from tests import single_file, tiny
from tests.json_files import changed
from tests.short_specs import NO_MAPS, SWAP, spec

pytestmark = pytest.mark.needs("latents")


FAMILY = "stable_diffusion"


def same_pictures(folder: Path, other: Path, **how: object) -> bool:
    one, two = (edit(spec(SWAP, **NO_MAPS), load(FAMILY, str(path), **how)).latents for path in (folder, other))
    return torch.equal(one, two)


def test_every_family_says_what_it_handles():
    assert LAYOUTS.keys() == FAMILIES.keys()


#: Real networks of other layouts, by what their files say; each needs no more of its configuration to be built.
OTHER_NETWORKS = {
    "inpainting": ({"in_channels": 9}, r"in_channels 9 \(an inpainting model's\).*latent_channels, 4"),
    "instructions": ({"in_channels": 8}, "in_channels 8"),
    "depth": ({"in_channels": 5}, r"in_channels 5 \(a depth model's\)"),
    "predicted variance": ({"out_channels": 8}, "out_channels 8"),
    "SDXL": (
        {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 64,
        },
        r"addition_embed_type text_time \(SDXL's, the family stable_diffusion_xl\)",
    ),
    "IF": ({"addition_embed_type": "text", "addition_embed_type_num_heads": 2}, "addition_embed_type text"),
    "projected text": ({"encoder_hid_dim": 16, "encoder_hid_dim_type": "text_proj"}, "encoder_hid_dim_type text_proj"),
    "unCLIP": (
        {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 32},
        "class_embed_type projection",
    ),
    "numbered classes": ({"num_class_embeds": 10}, "num_class_embeds 10"),
    "text alone": ({"only_cross_attention": True}, "only_cross_attention true"),
    "text alone, at one level": ({"only_cross_attention": (True, False, False)}, "only_cross_attention"),
    "two texts": ({"dual_cross_attention": True}, "dual_cross_attention true"),
    "boxes": ({"attention_type": "gated"}, "attention_type gated"),
    "joint softmax": (
        {
            "down_block_types": ("SimpleCrossAttnDownBlock2D",) * 3,
            "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
            "up_block_types": ("SimpleCrossAttnUpBlock2D",) * 3,
        },
        "down_block_types.*SimpleCrossAttnDownBlock2D.*mid_block_type",
    ),
    "normalised text": ({"cross_attention_norm": "layer_norm"}, "cross_attention_norm layer_norm"),
    "pixels alone": (
        {"down_block_types": ("DownBlock2D", "AttnDownBlock2D", "CrossAttnDownBlock2D")},
        "down_block_types.*AttnDownBlock2D",
    ),
}


@pytest.mark.parametrize(("unet", "said"), OTHER_NETWORKS.values(), ids=OTHER_NETWORKS)
def test_a_network_of_another_layout_is_refused_by_the_key_that_says_so(unet, said):
    with pytest.raises(UnsupportedModel, match=said):
        StableDiffusion(tiny.pipeline(unet=unet))


def test_a_model_that_is_refused_is_refused_before_its_weights_are_read(model):
    changed(model / "unet/config.json", in_channels=9)
    (model / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"not read")

    with pytest.raises(UnsupportedModel, match="in_channels 9"):
        load(FAMILY, str(model))


def _with_projection(pipeline):
    config = pipeline.text_encoder.config
    return {"text_encoder": CLIPTextModelWithProjection(config)}


def _other_autoencoder(pipeline):
    return {"vae": AutoencoderTiny()}


def _shifted(pipeline):
    return {"vae": AutoencoderKL.from_config(pipeline.vae.config, shift_factor=0.1)}


def _wider_text(pipeline):
    return {"unet": UNet2DConditionModel.from_config(pipeline.unet.config, cross_attention_dim=32)}


def _flow(pipeline):
    config = pipeline.scheduler.config
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
    return {"scheduler": DPMSolverMultistepScheduler.from_config(config, **flow)}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (_with_projection, "text_encoder is CLIPTextModelWithProjection"),
        (_other_autoencoder, "vae is AutoencoderTiny"),
        (_shifted, "vae has shift_factor 0.1"),
        (_wider_text, "cross_attention_dim 32.*text_encoder's hidden_size, 16"),
        (_flow, "prediction_type flow_prediction"),
    ],
)
def test_a_part_of_another_kind_is_refused_by_name(part, said):
    pipeline = tiny.pipeline()

    with pytest.raises(UnsupportedModel, match=said):
        StableDiffusion(type(pipeline)(**pipeline.components | part(pipeline), requires_safety_checker=False))


def test_everything_that_is_wrong_is_said_at_once(model):
    changed(model / "unet/config.json", in_channels=9, class_embed_type="projection")

    with pytest.raises(UnsupportedModel, match=r"(?s)class_embed_type.*in_channels"):
        load(FAMILY, str(model))


def test_a_pipeline_with_parts_of_its_own_is_refused_by_their_names(model):
    changed(
        model / "model_index.json",
        _class_name="StableDiffusionXLPipeline",
        text_encoder_2=["transformers", "CLIPTextModelWithProjection"],
    )

    with pytest.raises(UnsupportedModel, match=r"(?s)StableDiffusionXLPipeline.*text_encoder_2"):
        load(FAMILY, str(model))


def test_a_part_that_is_not_there_is_named(model):
    index = json.loads((model / "model_index.json").read_text())
    (model / "model_index.json").write_text(json.dumps({k: v for k, v in index.items() if k != "vae"}))

    with pytest.raises(UnsupportedModel, match="vae is missing"):
        load(FAMILY, str(model))


class Louder:
    """An attention processor of somebody else's."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **extra):
        return hidden_states


def test_an_attention_processor_that_is_not_the_stock_one_is_refused():
    pipeline = tiny.pipeline()
    pipeline.unet.set_attn_processor(Louder())

    with pytest.raises(UnsupportedModel, match="has the processor Louder"):
        StableDiffusion(pipeline)


def test_a_layer_that_attends_to_the_text_alone_is_refused_by_the_layer_too():
    layer = tiny.pipeline().unet.mid_block.attentions[0].transformer_blocks[0].attn1
    layer.only_cross_attention = True

    with pytest.raises(UnsupportedModel, match="mid has only_cross_attention"):
        check("mid", layer)


def test_another_pipeline_over_the_same_parts_is_refused():
    parts = {
        name: part for name, part in tiny.pipeline().components.items() if name not in ("scheduler", "image_encoder")
    }
    pipeline = StableDiffusionLDM3DPipeline(
        **parts, scheduler=PNDMScheduler(), image_encoder=None, requires_safety_checker=False
    )
    with pytest.raises(UnsupportedModel, match="StableDiffusionLDM3DPipeline"):
        StableDiffusion(pipeline)


def test_weights_of_a_variant_alone_are_loaded(saved, tmp_path):
    tiny.pipeline().to(torch.float16).save_pretrained(tmp_path / "fp16", variant="fp16")
    tiny.pipeline().to(torch.float16).save_pretrained(tmp_path / "plain")

    assert same_pictures(tmp_path / "fp16", tmp_path / "plain")


def test_one_part_of_a_variant_alone_is_loaded(model, saved):
    plain = model / "unet/diffusion_pytorch_model.safetensors"
    plain.rename(plain.with_name("diffusion_pytorch_model.fp16.safetensors"))

    assert same_pictures(model, saved)


def test_weights_in_shards_are_loaded(saved, tmp_path):
    tiny.pipeline().save_pretrained(tmp_path / "sharded", max_shard_size="40KB")

    assert len(list((tmp_path / "sharded/unet").glob("*.safetensors"))) > 2
    assert same_pictures(tmp_path / "sharded", saved)


def test_shards_of_a_variant_are_loaded(tmp_path):
    tiny.pipeline().to(torch.float16).save_pretrained(tmp_path / "fp16", variant="fp16", max_shard_size="20KB")
    tiny.pipeline().to(torch.float16).save_pretrained(tmp_path / "plain")

    assert same_pictures(tmp_path / "fp16", tmp_path / "plain")


def test_a_variant_is_loaded_beside_the_index_and_the_pointers_of_what_was_not_fetched(tmp_path):
    """What `hf download --include "*.json" "*.fp16*"` leaves, and `git lfs pull --include "*.fp16*"` with pickles."""
    tiny.pipeline().save_pretrained(tmp_path / "plain", max_shard_size="20KB")
    model = tmp_path / "fp16"
    tiny.pipeline().to(torch.float16).save_pretrained(model, variant="fp16", max_shard_size="20KB")
    index = "unet/diffusion_pytorch_model.safetensors.index.json"
    shutil.copy(tmp_path / "plain" / index, model / index)
    (model / "unet/diffusion_pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1\n")

    assert edit(spec(SWAP, **NO_MAPS), load(FAMILY, str(model))).latents.isfinite().all()


def test_parts_of_two_variants_are_refused(model):
    for part, variant in (("unet", "fp16"), ("vae", "bf16")):
        plain = model / part / "diffusion_pytorch_model.safetensors"
        plain.rename(plain.with_name(f"diffusion_pytorch_model.{variant}.safetensors"))

    with pytest.raises(UnsupportedModel, match="has weights of another variant than the other parts"):
        load(FAMILY, str(model))


def test_a_shard_that_is_missing_is_named(tmp_path):
    tiny.pipeline().save_pretrained(tmp_path, max_shard_size="40KB")
    sorted((tmp_path / "unet").glob("*.safetensors"))[1].unlink()

    with pytest.raises(UnsupportedModel, match=r"unet lacks 1 of \d+ shards, diffusion_pytorch_model-00002-of"):
        load(FAMILY, str(tmp_path))


def test_parts_that_are_named_and_never_used_need_not_be_there(model, saved):
    changed(
        model / "model_index.json",
        safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
        feature_extractor=["transformers", "CLIPImageProcessor"],
        image_encoder=["transformers", "CLIPVisionModelWithProjection"],
        requires_safety_checker=True,
    )

    assert same_pictures(model, saved)


def test_pickles_are_refused_with_the_command_that_converts_them(tmp_path, build, family_name):
    build().save_pretrained(tmp_path, safe_serialization=False)

    with pytest.raises(UnsupportedModel, match=r"diffusion_pytorch_model\.bin of .* are pickles") as refused:
        load(family_name, str(tmp_path))
    command = str(refused.value).split("in their place: ")[1].split("; ")
    said = "; ".join(command[:2]).removeprefix('python -c "').removesuffix('"')
    subprocess.run([sys.executable, "-c", said], check=True, capture_output=True)
    converted, plain = load(family_name, str(tmp_path)).pipeline, build()
    for part in (name for name, each in plain.components.items() if isinstance(each, torch.nn.Module)):
        found = getattr(converted, part).state_dict()
        assert all(torch.equal(found[name], weight) for name, weight in getattr(plain, part).state_dict().items())


def test_a_single_file_checkpoint_is_refused_with_the_command_that_converts_it(tmp_path):
    (tmp_path / "civitai.safetensors").write_bytes(b"")

    for path in (tmp_path / "civitai.safetensors", tmp_path):
        with pytest.raises(
            UnsupportedModel, match=r"single-file checkpoint.*from_single_file\('.*civitai.safetensors'"
        ):
            load(FAMILY, str(path))


def test_the_command_that_converts_a_single_file_names_the_class_that_reads_it(tmp_path, build, family_name):
    file = single_file.save(build(), tmp_path / "civitai.safetensors")
    kind = {"stable_diffusion": "StableDiffusionPipeline", "stable_diffusion_xl": "StableDiffusionXLPipeline"}

    with pytest.raises(UnsupportedModel, match=f"from diffusers import {kind[family_name]} as P; P.from_single_file"):
        load(family_name, str(file))


@pytest.mark.parametrize(
    "within",
    [
        "model_index.json",
        "unet",
        "tokenizer",
        "unet/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "pruned.safetensors",
    ],
)
def test_a_path_into_a_model_is_refused_with_the_folder_above(model, within):
    (model / "pruned.safetensors").write_bytes(b"")

    with pytest.raises(UnsupportedModel, match=f"^{model / within} is only a part .*: name the folder above: {model}$"):
        load(FAMILY, str(model / within))


@pytest.mark.parametrize("name", ["notes.txt", "config.json", "model_index.json.bak", "model.zip"])
def test_a_file_that_is_no_checkpoint_is_not_called_one(tmp_path, name):
    (tmp_path / name).write_bytes(b"")

    with pytest.raises(UnsupportedModel, match=f"{name} is a file, and only diffusers directories are loaded"):
        load(FAMILY, str(tmp_path / name))


def test_a_checkpoint_in_a_folder_of_its_own_within_a_model_is_one(model):
    (model / "checkpoints").mkdir()
    (model / "checkpoints/painter.safetensors").write_bytes(b"")

    with pytest.raises(UnsupportedModel, match="is a single-file checkpoint"):
        load(FAMILY, str(model / "checkpoints/painter.safetensors"))


@pytest.mark.parametrize(
    "name", ["/gone/model", "~/model", "a/b/c", "some body/painter", "https://huggingface.co/a/b", "a" * 300]
)
def test_what_is_no_hub_id_gets_no_command_that_fetches_it(name):
    with pytest.raises(
        UnsupportedModel, match=r"is no hub id \(owner/name\): correct `path`, or take `revision`"
    ) as said:
        fetched(name, "main", ["*.json"])

    assert "hf download" not in str(said.value)


def test_a_folder_with_a_revision_is_to_be_named_without_it(model):
    with pytest.raises(UnsupportedModel, match=f"^{model} is on this machine, .*: take `revision` out$"):
        fetched(str(model), "main", ["*.json"])


def test_weights_that_git_did_not_fetch_are_refused(model):
    (model / "vae/diffusion_pytorch_model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")

    with pytest.raises(UnsupportedModel, match="is a Git LFS pointer"):
        load(FAMILY, str(model))


def _header_of_no_tensors(whole: bytes) -> bytes:
    return (9).to_bytes(8, "little") + b'{"a": {}}'


#: Weights as broken downloads and other programs leave them, made of whole ones.
DAMAGED = {
    "empty": lambda whole: b"",
    "within the length": lambda whole: whole[:5],
    "within the header": lambda whole: whole[:20],
    "after the header": lambda whole: whole[: 8 + int.from_bytes(whole[:8], "little")],
    "one byte short": lambda whole: whole[:-1],
    "one byte more": lambda whole: whole + b"\0",
    "a page of a web site": lambda whole: b"<!DOCTYPE html><title>404</title>" * 50,
    "zeros": lambda whole: bytes(len(whole)),
    "a list as header": lambda whole: (2).to_bytes(8, "little") + b"[]",
    "tensors without places": _header_of_no_tensors,
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_weights_that_are_not_whole_are_named_before_any_is_loaded(model, damaged):
    weights = model / "vae/diffusion_pytorch_model.safetensors"
    weights.write_bytes(damaged(weights.read_bytes()))

    with pytest.raises(SafetensorError):
        safe_open(weights, "pt")
    with pytest.raises(UnsupportedModel, match=r"vae/\S+ is damaged \(.*\): fetch this file again$"):
        load(FAMILY, str(model))


def test_a_shard_that_is_cut_short_is_named(tmp_path):
    tiny.pipeline().save_pretrained(tmp_path, max_shard_size="40KB")
    shard = sorted((tmp_path / "unet").glob("*.safetensors"))[1]
    os.truncate(shard, shard.stat().st_size - 1)

    with pytest.raises(UnsupportedModel, match=rf"^{shard} is damaged \(it has \d+ bytes, .* describes \d+\)"):
        load(FAMILY, str(tmp_path))


def test_of_weights_the_header_alone_is_read(tmp_path):
    """A sparse file of 1 TB, which nobody could read within a test."""
    size = 10**12
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(len(header).to_bytes(8, "little") + header)

    os.truncate(weights, 8 + len(header) + size)
    assert damage(weights) is None
    os.truncate(weights, 8 + len(header) + size - 1)
    assert "describes" in damage(weights)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model: shutil.rmtree(model), "is not there: correct `path`"),
        (lambda model: (model / "model_index.json").unlink(), "has no model_index.json"),
        (lambda model: (model / "model_index.json").write_text("[]"), "no JSON object"),
        (lambda model: (model / "unet/config.json").write_text("{"), "config.json cannot be read"),
        (lambda model: shutil.rmtree(model / "unet"), "unet has no weights"),
    ],
)
def test_files_that_are_not_there_or_not_whole_are_named(model, spoil, said):
    spoil(model)

    with pytest.raises(UnsupportedModel, match=said):
        load(FAMILY, str(model))


@pytest.mark.parametrize(
    ("unet", "vae", "variant"),
    [
        (["model.safetensors", "model.fp16.safetensors"], ["model.safetensors"], None),
        (["model.fp16.safetensors"], ["model.fp16.safetensors"], "fp16"),
        (["model.fp16-00001-of-00002.safetensors"], ["model.safetensors"], "fp16"),
        (["model-00001-of-00002.fp16.safetensors"], ["model.fp16.safetensors"], "fp16"),
        (["model.fp16.safetensors", "model.bf16.safetensors"], ["model.bf16.safetensors"], "bf16"),
        (["model.fp16.safetensors", "model.ema.safetensors"], ["model.fp16.safetensors"], "fp16"),
        (["diffusion_pytorch_model.non_ema.safetensors"], ["diffusion_pytorch_model.safetensors"], "non_ema"),
        (["model.bin", "model.fp16.safetensors"], ["model.safetensors"], "fp16"),
    ],
)
def test_the_variant_is_told_by_the_files(unet, vae, variant):
    names = [*(f"unet/{name}" for name in unet), *(f"vae/{name}" for name in vae), "model.safetensors"]

    assert variant_of(names, ["unet", "vae"]) == variant


def test_a_tokenizer_that_says_no_limit_has_the_text_encoders(model):
    config = json.loads((model / "tokenizer/tokenizer_config.json").read_text())
    del config["model_max_length"]
    (model / "tokenizer/tokenizer_config.json").write_text(json.dumps(config))

    family = load(FAMILY, str(model))

    assert family.tokenizer.model_max_length == 24
    assert edit(spec(SWAP), family).maps
