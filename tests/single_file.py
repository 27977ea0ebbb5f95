"""A tiny model as one file with the names of its authors' code, which `from_single_file` reads back.

Those of Stable Diffusion 1.x are CompVis's. SDXL has Stability's: its second text encoder is OpenCLIP's.
"""

import re
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file
from torch import Tensor

#: Within a block of the UNet, diffusers' names and CompVis's.
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
#: Within a layer of a text encoder, transformers' names and OpenCLIP's.
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_OPEN_CLIP_ENDS = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def state_dict(pipeline: DiffusionPipeline, *, second_version: bool = False) -> dict[str, Tensor]:
    """The weights of a pipeline under its authors' names.

    Args:
        second_version: whether the text encoder has the names of Stable Diffusion 2.x: OpenCLIP's.
    """
    found = {}
    for name, weight in pipeline.unet.state_dict().items():
        found[f"model.diffusion_model.{unet_name(name, pipeline.unet.config.layers_per_block)}"] = weight
    levels = len(pipeline.vae.config.block_out_channels)
    for name, weight in pipeline.vae.state_dict().items():
        own = _of_vae(name, levels)
        is_matrix = ".attn_1." in own and weight.ndim == 2
        found[f"first_stage_model.{own}"] = weight[:, :, None, None] if is_matrix else weight
    is_xl = isinstance(pipeline, StableDiffusionXLPipeline)
    first = "conditioner.embedders.0.transformer." if is_xl else "cond_stage_model.transformer."
    encoder = {f"text_model.{n.removeprefix('text_model.')}": w for n, w in pipeline.text_encoder.state_dict().items()}
    if second_version:
        found |= {f"cond_stage_model.model.{name}": weight for name, weight in open_clip(encoder).items()}
    else:
        found |= {f"{first}{name}": weight for name, weight in encoder.items()}
    if is_xl:
        second = open_clip(pipeline.text_encoder_2.state_dict())
        found |= {f"conditioner.embedders.1.model.{name}": weight for name, weight in second.items()}
    return {name: weight.contiguous() for name, weight in found.items()}


def open_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a text encoder under OpenCLIP's names: queries, keys and values are one."""
    found = {theirs: state[name] for name, theirs in _OPEN_CLIP_ENDS.items()}
    width = state["text_model.final_layer_norm.weight"].shape[0]
    # Every file has it; Stable Diffusion 2.x does not use it.
    projection = state.get("text_projection.weight", torch.eye(width))
    found |= {"text_projection": projection.T, "logit_scale": torch.tensor(4.6)}
    for name, weight in state.items():
        if not (said := re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name)):
            continue
        layer, inner, kind = f"transformer.resblocks.{said[1]}", said[2], said[3]
        if inner in _OPEN_CLIP:
            found[f"{layer}.{_OPEN_CLIP[inner]}.{kind}"] = weight
        elif inner == "self_attn.q_proj":
            three = [state[name.replace("q_proj", f"{each}_proj")] for each in "qkv"]
            found[f"{layer}.attn.in_proj_{kind}"] = torch.cat(three)
    return found


def save(pipeline: DiffusionPipeline, file: Path) -> Path:
    """The file."""
    save_file(state_dict(pipeline), file)
    return file


def unet_name(name: str, layers: int) -> str:
    """Of a UNet's weight, the name that its authors' code gives it.

    Args:
        layers: of a block, as diffusers counts them.
    """
    if found := re.fullmatch(r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", name):
        block, kind, layer, rest = int(found[1]), found[2], int(found[3]), found[4]
        place = f"input_blocks.{block * (layers + 1) + layer + 1}.{kind == 'attentions':d}"
    elif found := re.fullmatch(r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)", name):
        return f"input_blocks.{(int(found[1]) + 1) * (layers + 1)}.0.op.{found[2]}"
    elif found := re.fullmatch(r"up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", name):
        block, kind, layer, rest = int(found[1]), found[2], int(found[3]), found[4]
        place = f"output_blocks.{block * (layers + 1) + layer}.{kind == 'attentions':d}"
    elif found := re.fullmatch(r"up_blocks\.(\d+)\.upsamplers\.0\.conv\.(.*)", name):
        # After the resnet and the attention, which every block of the tiny model has.
        return f"output_blocks.{int(found[1]) * (layers + 1) + layers}.2.conv.{found[2]}"
    else:
        begin = next(each for each in _UNET if name.startswith(f"{each}."))
        place, rest, kind = _UNET[begin], name.removeprefix(f"{begin}."), begin
    if "resnets" in kind:
        layer_name, _, end = rest.rpartition(".")
        rest = f"{_RESNET[layer_name]}.{end}"
    return f"{place}.{rest}"


def _of_vae(name: str, levels: int) -> str:
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
    for own, theirs in _VAE_ATTENTION.items():
        name = name.replace(f"mid_block.attentions.0.{own}.", f"mid.attn_1.{theirs}.")
    return name
