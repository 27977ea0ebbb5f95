"""A tiny model of unCLIP's layout: a prior, a decoder whose text has columns of no word, two networks that enlarge."""

import warnings

import torch
from diffusers import PriorTransformer, UnCLIPPipeline, UnCLIPScheduler, UNet2DConditionModel, UNet2DModel
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from tests import tiny
from tests.tiny_if import NETWORK, louder

#: Of CLIP's embeddings, and of the decoder's time embedding: four times its first channels.
WIDTH, TIME = 32, 4 * NETWORK["block_out_channels"][0]


def pipeline(limit: int = 24, sample_size: int = 16, *, unet: dict | None = None) -> UnCLIPPipeline:
    """An unCLIP-layout pipeline: a decoder of `sample_size` pixels a side, made twice as large.

    Args:
        unet: further fields of the decoder's configuration.
    """
    torch.manual_seed(0)
    words = tiny.tokenizer(limit)
    words.pad_token = "!"
    text = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=WIDTH,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            projection_dim=WIDTH,
            max_position_embeddings=limit,
            eos_token_id=words.eos_token_id,
            bos_token_id=words.bos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )
    with torch.no_grad():
        text.get_input_embeddings().weight.mul_(20)  # random texts look alike
    prior = PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=1,
        embedding_dim=WIDTH,
        num_embeddings=limit,
        additional_embeddings=4,
    )
    decoder = UNet2DConditionModel(
        **NETWORK | {"sample_size": sample_size, "class_embed_type": "identity"} | (unet or {})
    )
    projection = UnCLIPTextProjModel(
        clip_extra_context_tokens=4, clip_embeddings_dim=WIDTH, time_embed_dim=TIME, cross_attention_dim=WIDTH
    )
    enlarging = [
        UNet2DModel(
            sample_size=2 * sample_size,
            in_channels=6,
            out_channels=3,
            layers_per_block=1,
            block_out_channels=(8, 16),
            norm_num_groups=8,
            down_block_types=("ResnetDownsampleBlock2D",) * 2,
            up_block_types=("ResnetUpsampleBlock2D",) * 2,
            attention_head_dim=8,
            resnet_time_scale_shift="default",
        ).eval()
        for _ in range(2)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the pipeline's class is deprecated; the family does without
        made = UnCLIPPipeline(
            tokenizer=words,
            text_encoder=text.eval(),
            prior=prior.eval(),
            text_proj=projection.eval(),
            decoder=louder(decoder),
            super_res_first=enlarging[0],
            super_res_last=enlarging[1],
            prior_scheduler=UnCLIPScheduler(
                variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0
            ),
            decoder_scheduler=UnCLIPScheduler(variance_type="learned_range", prediction_type="epsilon"),
            super_res_scheduler=UnCLIPScheduler(variance_type="fixed_small_log", prediction_type="epsilon"),
        )
    made.set_progress_bar_config(disable=True)
    return made
