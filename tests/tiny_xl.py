"""A tiny model of SDXL's layout: two text encoders of different widths, a pooled vector, sizes as an input."""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests import tiny

#: Width of each text encoder, and of the second one's projection.
WIDTHS, POOLED = (16, 32), 32


def pipeline(
    limit: int = 24, sample_size: int = 16, *, unet: dict | None = None, prediction_type: str = "epsilon"
) -> StableDiffusionXLPipeline:
    """An SDXL-layout pipeline: attention at the two coarser of its three levels, and sharpened.

    Args:
        unet: further fields of the UNet's configuration.
    """
    torch.manual_seed(0)
    words, padded_with_a_mark = tiny.tokenizer(limit), tiny.tokenizer(limit)
    padded_with_a_mark.pad_token = "!"
    fields = dict(
        sample_size=sample_size,
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 2, 2),
        cross_attention_dim=sum(WIDTHS),
        norm_num_groups=4,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=8 * 6 + POOLED,
    )
    network = UNet2DConditionModel(**fields | (unet or {}))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            # Random attention is flat, and random texts look alike: sharpened, so that an edit changes something.
            if name.endswith(("to_q.weight", "to_k.weight")):
                weight.mul_(4)
            elif name.endswith("attn2.to_v.weight"):
                weight.mul_(3)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4,
        norm_num_groups=4,
        sample_size=sample_size * 2,
        scaling_factor=0.13025,
        force_upcast=True,
    )

    def text(tokenizer, width: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=limit,
            projection_dim=POOLED,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )

    encoders = CLIPTextModel(text(words, WIDTHS[0])), CLIPTextModelWithProjection(text(padded_with_a_mark, WIDTHS[1]))
    with torch.no_grad():
        for encoder in encoders:
            encoder.get_input_embeddings().weight.mul_(20)
    made = StableDiffusionXLPipeline(
        vae=vae.eval(),
        text_encoder=encoders[0].eval(),
        text_encoder_2=encoders[1].eval(),
        tokenizer=words,
        tokenizer_2=padded_with_a_mark,
        unet=network.eval(),
        scheduler=DDIMScheduler(
            prediction_type=prediction_type,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made
