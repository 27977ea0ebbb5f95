"""Qwen-Image and everything of its layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts import flows
from p2p.layouts.base import Layout, Parts
from p2p.segments import Segment

#: Positions of the text that the pipeline gives its network (`max_sequence_length`).
_TOKENS = 512
#: What the pipeline says around a prompt (`prompt_template_encode`), and how many tokens of it are left out afterwards
#: (`prompt_template_encode_start_idx`): all in front of the prompt.
PREFIX = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n"
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"
DROPPED = 34


def _segments(parts: Parts) -> tuple[Segment, ...]:
    return (Segment("tokenizer", _TOKENS, prefix=PREFIX, suffix=SUFFIX, dropped=DROPPED),)


def _cell(parts: Parts) -> int:
    """The autoencoder halves a picture between its blocks, and two by two latents are a position."""
    return 2 ** len(parts["vae"].config.get("dim_mult", range(4)))


QWEN_IMAGE = Layout(
    kinds={
        "model_index": ("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"),
        "tokenizer": ("Qwen2Tokenizer", "Qwen2TokenizerFast"),
        "text_encoder": ("Qwen2_5_VLForConditionalGeneration",),
        "transformer": ("QwenImageTransformer2DModel",),
        "vae": ("AutoencoderKLQwenImage",),
        "scheduler": flows.SCHEDULER_KIND,
    },
    configs={
        "transformer": {
            "patch_size": (2,),
            "guidance_embeds": (False,),
            "zero_cond_t": (False,),
            "use_additional_t_cond": (False,),
            "use_layer3d_rope": (False,),
        },
        # The last step's sigma may be set apart: the schedule is diffusers' own.
        "scheduler": {key: handled for key, handled in flows.SCHEDULER.items() if key != "shift_terminal"},
    },
    equal=[
        ("transformer.out_channels", "vae.z_dim"),
        ("transformer.joint_attention_dim", "text_encoder.hidden_size"),
    ],
    hints={
        ("transformer.zero_cond_t", True): "an editing model's",
        ("transformer.use_layer3d_rope", True): "a model's of layers",
    },
    mends=flows.MENDS,
    token_limit=_TOKENS,
    cell=_cell,
    segments=_segments,
    reads_chunks=False,
    state="flows",
    offloads=True,
    quantized="transformer",
)
