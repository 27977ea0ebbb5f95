"""SDXL's block widths with random weights and one transformer block a level: the layers' cost without the download.

The published model has two and ten blocks at its levels, and 32 layers in its second text encoder: 2.6 and 0.7 billion
weights. Of each kind of layer one is enough to compare what control costs.
"""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from benchmarks.random_weights import filled

POOLED = 1280


def random_xl_pipeline(device: torch.device, dtype: torch.dtype = torch.bfloat16) -> StableDiffusionXLPipeline:
    """The pipeline; its weights are small random numbers, so that no step overflows."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=128,
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048,
            transformer_layers_per_block=1,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=6 * 256 + POOLED,
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            sample_size=1024,
            scaling_factor=0.13025,
        )
        encoders = [
            kind(CLIPTextConfig(
                vocab_size=49408, max_position_embeddings=77, hidden_size=width, intermediate_size=4 * width,
                num_hidden_layers=2, num_attention_heads=width // 64, projection_dim=POOLED,
            ))
            for kind, width in ((CLIPTextModel, 768), (CLIPTextModelWithProjection, 1280))
        ]  # fmt: skip
    words = [CLIPTokenizer.from_pretrained("scenes/model/tokenizer", model_max_length=77) for _ in range(2)]
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    pipeline = StableDiffusionXLPipeline(
        vae=filled(vae, dtype),
        text_encoder=filled(encoders[0], dtype),
        text_encoder_2=filled(encoders[1], dtype),
        tokenizer=words[0],
        tokenizer_2=words[1],
        unet=filled(unet, dtype),
        scheduler=scheduler,
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)
