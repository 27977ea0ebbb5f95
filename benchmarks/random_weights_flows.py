"""FLUX.1's and SD3's block widths with few blocks and random weights: what control costs, without the download.

FLUX.1 has 19 blocks of two streams and 38 of one, here one and two; SD3 medium has 24, here four. T5's states are as
wide as the published one's, and its layers are small: prompts are encoded once a run, on every side.
"""

from collections.abc import Callable, Mapping

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from benchmarks.random_weights import filled

T5_WIDTH = 4096
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _t5() -> tuple[T5Tokenizer, T5EncoderModel]:
    """A tokenizer of letters, and an encoder of one narrow layer in a wide stream."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), *((letter, -4.0) for letter in _LETTERS)]
    words = T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)
    config = T5Config(
        vocab_size=len(words), d_model=T5_WIDTH, d_kv=64, d_ff=64, num_layers=1, num_heads=1, dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    with torch.device("meta"):
        return words, T5EncoderModel(config)


def _clip(kind: type, width: int) -> torch.nn.Module:
    config = CLIPTextConfig(
        vocab_size=49408, max_position_embeddings=77, hidden_size=width, intermediate_size=4 * width,
        num_hidden_layers=2, num_attention_heads=width // 64, projection_dim=width,
    )  # fmt: skip
    with torch.device("meta"):
        return kind(config)


def _vae(scaling: float, shift: float) -> AutoencoderKL:
    with torch.device("meta"):
        return AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=16,
            use_quant_conv=False,
            use_post_quant_conv=False,
            scaling_factor=scaling,
            shift_factor=shift,
        )


def _words() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained("scenes/model/tokenizer", model_max_length=77)


def _flux(dtype: torch.dtype) -> FluxPipeline:
    with torch.device("meta"):
        network = FluxTransformer2DModel(num_layers=1, num_single_layers=2, guidance_embeds=True)
    words, encoder = _t5()
    return FluxPipeline(
        transformer=filled(network, dtype),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=filled(_vae(0.3611, 0.1159), dtype),
        text_encoder=filled(_clip(CLIPTextModel, 768), dtype),
        tokenizer=_words(),
        text_encoder_2=filled(encoder, dtype),
        tokenizer_2=words,
    )


def _sd3(dtype: torch.dtype) -> StableDiffusion3Pipeline:
    # Not on the meta device: its table of positions is computed, and is no weight.
    network = SD3Transformer2DModel(
        sample_size=128, num_layers=4, attention_head_dim=64, num_attention_heads=24, joint_attention_dim=T5_WIDTH,
        caption_projection_dim=1536, pooled_projection_dim=2048, pos_embed_max_size=192,
    )  # fmt: skip
    words, encoder = _t5()
    return StableDiffusion3Pipeline(
        transformer=network.to(dtype).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=filled(_vae(1.5305, 0.0609), dtype),
        text_encoder=filled(_clip(CLIPTextModelWithProjection, 768), dtype),
        tokenizer=_words(),
        text_encoder_2=filled(_clip(CLIPTextModelWithProjection, 1280), dtype),
        tokenizer_2=_words(),
        text_encoder_3=filled(encoder, dtype),
        tokenizer_3=words,
    )


_PIPELINES: Mapping[str, Callable[[torch.dtype], FluxPipeline | StableDiffusion3Pipeline]] = {
    "flux": _flux,
    "sd3": _sd3,
}


def random_flow_pipeline(
    name: str, device: torch.device, dtype: torch.dtype = torch.bfloat16
) -> FluxPipeline | StableDiffusion3Pipeline:
    """A pipeline; its weights are small random numbers, so that no step overflows."""
    made = _PIPELINES[name](dtype)
    made.set_progress_bar_config(disable=True)
    return made.to(device)
