"""The networks: SD3's transformer, its two CLIPs and its T5, small enough that all of it takes 16 MB."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer, T5Config, T5EncoderModel

from scenes.dataset import FACTOR
from scenes.render import SIZE
from scenes.tokenizer import MAX_LENGTH
from scenes.tokens.transformer import TEXT_WIDTH

#: Latents a side, and channels of the autoencoder of `scenes`.
SIDE, CHANNELS = SIZE // FACTOR, 8
PATCH = 2
#: Seven blocks of five heads: 6.3 million weights. A third of them make a block's scales and shifts and cost little.
LAYERS, HEADS, HEAD = 7, 5, 32
#: The second CLIP has one layer, and SD3 reads the last but one: its words know of nothing but their place.
SECOND_WIDTH = 64
WIDTH = TEXT_WIDTH + SECOND_WIDTH
#: Of SD3's schedule; less than its 3, which is for pictures with more to average over.
SHIFT = 2.0


@dataclass(frozen=True, eq=False)
class Networks:
    """What is trained."""

    transformer: SD3Transformer2DModel
    text_encoder: CLIPTextModelWithProjection
    text_encoder_2: CLIPTextModelWithProjection
    text_encoder_3: T5EncoderModel

    def named(self) -> dict[str, Any]:
        """Modules that can be saved, by the pipeline's names."""
        return dict(vars(self))

    def parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for module in self.named().values() for parameter in module.parameters()]


def build(clip: CLIPTokenizer, t5_vocabulary: int) -> Networks:
    """Untrained networks."""
    transformer = SD3Transformer2DModel(
        sample_size=SIDE,
        patch_size=PATCH,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_layers=LAYERS,
        attention_head_dim=HEAD,
        num_attention_heads=HEADS,
        joint_attention_dim=WIDTH,
        caption_projection_dim=HEADS * HEAD,
        pooled_projection_dim=WIDTH,
        pos_embed_max_size=SIDE // PATCH,
        qk_norm="rms_norm",
    )
    _begin_as_nothing(transformer)
    t5 = T5Config(
        vocab_size=t5_vocabulary,
        d_model=WIDTH,
        d_kv=HEAD,
        d_ff=WIDTH,
        # None: each word's embedding, and no more.
        num_layers=0,
        num_heads=HEADS,
        feed_forward_proj="gated-gelu",
        pad_token_id=0,
        eos_token_id=1,
        dropout_rate=0.0,
    )
    return Networks(transformer, _clip(clip, TEXT_WIDTH, 3), _clip(clip, SECOND_WIDTH, 1), T5EncoderModel(t5))


def schedule() -> FlowMatchEulerDiscreteScheduler:
    """The scheduler the model is shipped with."""
    return FlowMatchEulerDiscreteScheduler(shift=SHIFT)


def _clip(tokenizer: CLIPTokenizer, width: int, layers: int) -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=width * 8 // 3,
            num_hidden_layers=layers,
            num_attention_heads=4,
            projection_dim=width,
            max_position_embeddings=MAX_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _begin_as_nothing(transformer: SD3Transformer2DModel) -> None:
    """Blocks begin as the identity, and the output as zero (Peebles and Xie 2023, adaLN-Zero): it trains faster."""
    for name, module in transformer.named_modules():
        if name.endswith(("norm1.linear", "norm1_context.linear", "norm_out.linear", "proj_out")):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
