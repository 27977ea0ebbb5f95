"""FLUX.1 dev and schnell, and everything of their layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts import flows
from p2p.layouts.base import Layout, Parts, value_of
from p2p.segments import Segment

#: Tokens of T5 that FLUX.1 dev was trained with, and schnell, which takes no guidance scale.
_DEV, _SCHNELL = 512, 256


def _segments(parts: Parts) -> tuple[Segment, ...]:
    """T5's tokens alone: CLIP says a prompt in one vector."""
    return (Segment("tokenizer_2", _DEV if value_of(parts, "transformer.guidance_embeds") else _SCHNELL, head=0),)


FLUX = Layout(
    kinds={
        "model_index": ("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "tokenizer_2": ("T5Tokenizer", "T5TokenizerFast"),
        "text_encoder": ("CLIPTextModel",),
        "text_encoder_2": ("T5EncoderModel",),
        "transformer": ("FluxTransformer2DModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": flows.SCHEDULER_KIND,
    },
    unused=("feature_extractor", "image_encoder"),
    configs={
        "transformer": {"patch_size": (1,), "guidance_embeds": bool, "out_channels": (None, 64)},
        "vae": flows.VAE,
        "scheduler": flows.SCHEDULER,
    },
    equal=[
        ("transformer.joint_attention_dim", "text_encoder_2.d_model"),
        ("transformer.pooled_projection_dim", "text_encoder.hidden_size"),
    ],
    hints={
        ("transformer.in_channels", 128): "one that is conditioned on a control picture",
        ("transformer.in_channels", 384): "an inpainting model's",
    },
    mends=flows.MENDS,
    token_limit=_DEV,
    cell=flows.cell,
    segments=_segments,
    reads_chunks=False,
    state="flows",
    offloads=True,
    quantized="transformer",
)
