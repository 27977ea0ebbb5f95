"""A tiny model of aMUSEd's layout: tokens, a transformer with a convolutional block on each side, a VQ."""

import warnings

import torch
from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel, VQModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from tests import tiny

#: Of the codebook, and of the network, whose last token is the masked one.
CODEBOOK, VOCABULARY = 96, 104


def pipeline(limit: int = 24, sample_size: int = 16, *, network: dict | None = None) -> AmusedPipeline:
    """A pipeline of aMUSEd's layout; its attention is sharpened.

    Args:
        network: further fields of the transformer's configuration.
    """
    torch.manual_seed(0)
    words = tiny.tokenizer(limit)
    fields = dict(
        hidden_size=32,
        cond_embed_dim=24,
        micro_cond_encode_dim=8,
        micro_cond_embed_dim=40,
        encoder_hidden_size=32,
        vocab_size=VOCABULARY,
        codebook_size=CODEBOOK,
        in_channels=24,
        block_out_channels=24,
        num_res_blocks=1,
        block_num_heads=3,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        sample_size=sample_size,
    )
    transformer = UVit2DModel(**fields | (network or {}))
    with torch.no_grad():
        for name, weight in transformer.named_parameters():
            # Random attention is flat, and random texts look alike: sharpened, so that an edit changes something.
            if (
                name.endswith(("to_q.weight", "to_k.weight"))
                or name.endswith("attn2.to_v.weight")
                or ("attention_blocks" in name and name.endswith("to_v.weight"))
            ):
                weight.mul_(3)
            elif "mlm_layer.conv2" in name:
                weight.mul_(1.5)
    vq = VQModel(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4,
        vq_embed_dim=4,
        num_vq_embeddings=CODEBOOK,
        norm_num_groups=4,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
        sample_size=sample_size * 2,
    )
    text = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            projection_dim=24,
            max_position_embeddings=limit,
            eos_token_id=words.eos_token_id,
            bos_token_id=words.bos_token_id,
            pad_token_id=words.pad_token_id,
            initializer_factor=3.0,
        )
    )
    with torch.no_grad():
        vq.quantize.embedding.weight.normal_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the pipeline's class is deprecated; the family does without
        made = AmusedPipeline(
            vqvae=vq.eval(),
            text_encoder=text.eval(),
            tokenizer=words,
            transformer=transformer.eval(),
            scheduler=AmusedScheduler(mask_token_id=VOCABULARY - 1),
        )
    made.set_progress_bar_config(disable=True)
    return made
