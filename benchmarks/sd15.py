"""Stable Diffusion 1.5's architecture with random weights: its cost without its download.

The configurations are those of the published checkpoint; the tokenizer is the built-in model's, padded to 77, because
no vocabulary can be downloaded here and what the ids are costs nothing.
"""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

DOWN = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
UP = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3


def random_pipeline(dtype: torch.dtype = torch.bfloat16) -> StableDiffusionPipeline:
    """The pipeline; its weights are small random numbers, so that no step overflows."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=64, cross_attention_dim=768, attention_head_dim=8, down_block_types=DOWN, up_block_types=UP
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            sample_size=512,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                           num_attention_heads=12, max_position_embeddings=77)
        )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
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
    return pipeline


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
