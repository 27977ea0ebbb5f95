"""Z-Image, Turbo and base, and everything of their layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts import flows
from p2p.layouts.base import Layout, Parts
from p2p.segments import Segment

#: What the pipeline has its text encoder read (`max_sequence_length`).
_TOKENS = 512
#: What Qwen3's template says around a prompt, with thinking. The family compares it with the tokenizer's own.
PREFIX, SUFFIX = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"


def _segments(parts: Parts) -> tuple[Segment, ...]:
    return (Segment("tokenizer", _TOKENS, prefix=PREFIX, suffix=SUFFIX),)


Z_IMAGE = Layout(
    kinds={
        "model_index": ("ZImagePipeline", "ZImageImg2ImgPipeline"),
        "tokenizer": ("Qwen2Tokenizer", "Qwen2TokenizerFast"),
        "text_encoder": ("Qwen3Model", "Qwen3ForCausalLM"),
        "transformer": ("ZImageTransformer2DModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": flows.SCHEDULER_KIND,
    },
    configs={
        "transformer": {"all_patch_size": (2,), "all_f_patch_size": (1,), "siglip_feat_dim": (None,)},
        "vae": flows.VAE,
        "scheduler": flows.SCHEDULER,
    },
    equal=[
        ("transformer.in_channels", "vae.latent_channels"),
        ("transformer.cap_feat_dim", "text_encoder.hidden_size"),
    ],
    mends=flows.MENDS,
    token_limit=_TOKENS,
    cell=flows.cell,
    segments=_segments,
    reads_chunks=False,
    state="flows",
    offloads=True,
    quantized="transformer",
)
