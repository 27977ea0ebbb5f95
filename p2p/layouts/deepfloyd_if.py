"""DeepFloyd IF's first stage and everything of its layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts.base import PIPELINE, Layout, Parts, value_of
from p2p.layouts.reach import Reach
from p2p.layouts.stable_diffusion import STABLE_DIFFUSION
from p2p.layouts.upscaler import UPSCALER

#: Blocks whose layers put the text's columns and the pixels' into one softmax.
ADDED_KEYS = {
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": ("UNetMidBlock2DSimpleCrossAttn",),
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
}


def halvings(parts: Parts, part: str) -> int:
    """Pixels along one cell of a network's coarsest level."""
    return 2 ** (len(parts[part].config.get("block_out_channels", range(4))) - 1)


def side_of(parts: Parts, part: str, usual: int) -> int:
    """Pixels a side that a network was trained on; the usual ones where its files do not say it."""
    said = value_of(parts, f"{part}.sample_size")
    return said if isinstance(said, int) and said > 0 else usual


#: A further stage: its UNet and its schedulers; texts come from the first stage's encoder.
IF_STAGE = Layout(
    kinds={
        "model_index": ("IFSuperResolutionPipeline",),
        "unet": ("UNet2DConditionModel",),
        "scheduler": ("DDPMScheduler",),
        "image_noising_scheduler": ("DDPMScheduler",),
    },
    unused=("text_encoder", "tokenizer", "safety_checker", "feature_extractor", "watermarker"),
    configs={
        "unet": {
            "sample_size": int,
            "in_channels": (6,),
            "out_channels": (3, 6),
            "addition_embed_type": ("text",),
            "encoder_hid_dim_type": ("text_proj",),
            "class_embed_type": ("timestep",),
        },
        "scheduler": {"prediction_type": ("epsilon",)},
    },
    hints={("unet.in_channels", 3): "that of the first stage", ("unet.in_channels", 7): "an upscaler's of latents"},
    mends={"model_index": "name further stages of DeepFloyd IF, or an upscaler, in `stages` of the models file"},
    token_limit=77,
    cell=lambda parts: halvings(parts, "unet"),
    enlarges=lambda parts, side: side_of(parts, "unet", 256) // side,
)
#: By the pipelines of further models, what is handled of them.
STAGES = {kind: stage for stage in (IF_STAGE, UPSCALER) for kind in stage.kinds[PIPELINE]}

DEEPFLOYD_IF = Layout(
    kinds={
        "model_index": ("IFPipeline", "IFImg2ImgPipeline", "IFInpaintingPipeline"),
        "tokenizer": ("T5Tokenizer", "T5TokenizerFast"),
        "text_encoder": ("T5EncoderModel",),
        "unet": ("UNet2DConditionModel",),
        "scheduler": STABLE_DIFFUSION.kinds["scheduler"],
    },
    unused=("safety_checker", "feature_extractor", "watermarker"),
    configs={
        "unet": {
            "sample_size": int,
            "in_channels": (3,),
            # The noise, or the noise and its variance.
            "out_channels": (3, 6),
            "addition_embed_type": ("text",),
            "encoder_hid_dim_type": ("text_proj",),
            "cross_attention_norm": (None, "group_norm", "layer_norm"),
            "class_embed_type": (None,),
            "num_class_embeds": (None,),
            "time_cond_proj_dim": (None,),
            "only_cross_attention": (False,),
            "mid_block_only_cross_attention": (None, False),
            "dual_cross_attention": (False,),
            **ADDED_KEYS,
        },
        "scheduler": STABLE_DIFFUSION.configs["scheduler"],
    },
    equal=[("unet.encoder_hid_dim", "text_encoder.d_model")],
    hints={
        ("unet.in_channels", 6): "that of a super-resolution stage: set `path` to the first stage",
        ("unet.addition_embed_type", None): "that of SD 1.x and 2.x, the family stable_diffusion",
    },
    mends=STABLE_DIFFUSION.mends,
    # T5 itself reads any number; the model was trained on so many (its tokenizer's files say 512).
    token_limit=77,
    cell=lambda parts: halvings(parts, "unet"),
    reads_chunks=False,
    lowercases=True,
    cuts_off="scheduler",
    draws=lambda parts: [Reach(1, side_of(parts, "unet", 64))],
    stages=STAGES,
)
