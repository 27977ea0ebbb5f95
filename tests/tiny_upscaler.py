"""A tiny model of Stable Diffusion's upscaler, of real classes with random weights."""

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)

from tests import tiny


def pipeline(limit: int = 24) -> StableDiffusionUpscalePipeline:
    """An upscaler that makes four pixels a side of one; its first layers have no attention to pixels, as published."""
    torch.manual_seed(2)
    words = tiny.tokenizer(limit)
    text = tiny.text_encoder(words, limit)
    network = UNet2DConditionModel(
        sample_size=32,
        in_channels=7,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        only_cross_attention=(True, False),
        attention_head_dim=4,
        cross_attention_dim=16,
        norm_num_groups=4,
        num_class_embeds=1000,
    )
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(("attn2.to_v.weight", "attn2.to_q.weight")):
                weight.mul_(4)  # random texts say little
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.08333,
    )
    made = StableDiffusionUpscalePipeline(
        vae=vae.eval(),
        text_encoder=text.eval(),
        tokenizer=words,
        unet=network.eval(),
        low_res_scheduler=DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.0001, beta_end=0.02),
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear",
            beta_start=0.0001,
            beta_end=0.02,
            clip_sample=False,
            prediction_type="v_prediction",
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
    )
    made.set_progress_bar_config(disable=True)
    return made
