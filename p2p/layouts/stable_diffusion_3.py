"""SD3, SD3.5 and everything of their layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts import flows
from p2p.layouts.base import Layout, Parts
from p2p.segments import Segment

#: What the pipeline has T5 read (`max_sequence_length`).
_T5 = 256
_CLIP = ("CLIPTokenizer", "CLIPTokenizerFast")


def _segments(parts: Parts) -> tuple[Segment, ...]:
    """Both CLIPs have one tokenizer's ids and places; T5 reads on where they end."""
    return Segment("tokenizer", 77, cuts=True), Segment("tokenizer_3", _T5, head=0)


STABLE_DIFFUSION_3 = Layout(
    kinds={
        "model_index": (
            "StableDiffusion3Pipeline",
            "StableDiffusion3Img2ImgPipeline",
            "StableDiffusion3InpaintPipeline",
        ),
        "tokenizer": _CLIP,
        "tokenizer_2": _CLIP,
        "tokenizer_3": ("T5Tokenizer", "T5TokenizerFast"),
        "text_encoder": ("CLIPTextModelWithProjection",),
        "text_encoder_2": ("CLIPTextModelWithProjection",),
        "text_encoder_3": ("T5EncoderModel",),
        "transformer": ("SD3Transformer2DModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": flows.SCHEDULER_KIND,
    },
    unused=("feature_extractor", "image_encoder"),
    configs={
        "transformer": {"patch_size": (2,), "sample_size": int, "qk_norm": (None, "rms_norm")},
        "vae": flows.VAE,
        "scheduler": flows.SCHEDULER,
    },
    equal=[
        ("transformer.in_channels", "vae.latent_channels"),
        ("transformer.joint_attention_dim", "text_encoder_3.d_model"),
    ],
    mends=flows.MENDS,
    token_limit=_T5,
    cell=flows.cell,
    segments=_segments,
    reads_chunks=False,
    state="flows",
    offloads=True,
    quantized="transformer",
)
