"""FLUX.2 klein and everything of its layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts import flows
from p2p.layouts.base import Layout, Parts
from p2p.segments import Segment

#: What the pipeline has its text encoder read (`max_sequence_length`).
_TOKENS = 512
#: What Qwen3's template says around a prompt, without thinking. The family compares it with the tokenizer's own.
PREFIX, SUFFIX = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def _segments(parts: Parts) -> tuple[Segment, ...]:
    return (Segment("tokenizer", _TOKENS, prefix=PREFIX, suffix=SUFFIX),)


FLUX2_KLEIN = Layout(
    kinds={
        "model_index": ("Flux2KleinPipeline",),
        "tokenizer": ("Qwen2Tokenizer", "Qwen2TokenizerFast"),
        "text_encoder": ("Qwen3ForCausalLM",),
        "transformer": ("Flux2Transformer2DModel",),
        "vae": ("AutoencoderKLFlux2",),
        "scheduler": flows.SCHEDULER_KIND,
    },
    configs={
        "transformer": {"patch_size": (1,), "guidance_embeds": (False,)},
        "scheduler": flows.SCHEDULER,
    },
    hints={("transformer.guidance_embeds", True): "FLUX.2 dev's"},
    mends=flows.MENDS,
    token_limit=_TOKENS,
    cell=flows.cell,
    segments=_segments,
    state="flows",
    offloads=True,
    quantized="transformer",
)
