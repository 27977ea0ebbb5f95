"""The architectures of Stable Diffusion 1.5 and 2.1 with random weights: their cost without their download.

The configurations are those of the published checkpoints; the tokenizer is the built-in model's, padded to 77, because
no vocabulary can be downloaded here and what the ids are costs nothing.
"""

from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

DOWN = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
UP = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3

#: Per model: fields of the UNet, of the text encoder, of the scheduler.
ARCHITECTURES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "sd15": (
        dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
        dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12),
        dict(prediction_type="epsilon"),
    ),
    "sd21": (
        dict(sample_size=96, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True),
        dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, hidden_act="gelu"),
        dict(prediction_type="v_prediction"),
    ),
}


def random_pipeline(name: str, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> StableDiffusionPipeline:
    """The pipeline; its weights are small random numbers, so that no step overflows."""
    unet_fields, text_fields, scheduler_fields = ARCHITECTURES[name]
    with torch.device("meta"):
        unet = UNet2DConditionModel(down_block_types=DOWN, up_block_types=UP, **unet_fields)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            sample_size=8 * unet_fields["sample_size"],
        )
        text_encoder = CLIPTextModel(CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **text_fields))
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, **scheduler_fields,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae=filled(vae, dtype),
        text_encoder=filled(text_encoder, dtype),
        tokenizer=CLIPTokenizer.from_pretrained("scenes/model/tokenizer", model_max_length=77),
        unet=filled(unet, dtype),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def filled(module: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    """A module made on the meta device, with real weights: one block of random numbers over and over, which is fast."""
    module = module.to(dtype).to_empty(device="cpu").eval()
    block = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)).to(dtype) * 0.02
    with torch.no_grad():
        for parameter in module.parameters():
            flat = parameter.view(-1)
            for start in range(0, len(flat), len(block)):
                flat[start : start + len(block)] = block[: len(flat) - start]
        for name, buffer in module.named_buffers():
            if name.endswith("position_ids"):
                buffer.copy_(torch.arange(buffer.shape[-1])[None])
    return module
