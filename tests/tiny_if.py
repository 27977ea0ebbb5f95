"""Tiny models of the layouts of pixels: DeepFloyd IF, of real classes with random weights."""

import torch
from diffusers import DDPMScheduler, IFPipeline, IFSuperResolutionPipeline, UNet2DConditionModel
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from tests import tiny

#: Of a UNet whose layers put text and pixels into one softmax; at half the pixels' resolution and coarser.
NETWORK = dict(
    in_channels=3,
    out_channels=6,
    block_out_channels=(16, 32),
    layers_per_block=1,
    down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    mid_block_type="UNetMidBlock2DSimpleCrossAttn",
    up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    attention_head_dim=8,
    cross_attention_dim=32,
    resnet_time_scale_shift="scale_shift",
    norm_num_groups=8,
)
#: What DeepFloyd IF adds to it.
OWN = dict(
    act_fn="gelu",
    cross_attention_norm="group_norm",
    encoder_hid_dim=32,
    encoder_hid_dim_type="text_proj",
    addition_embed_type="text",
    addition_embed_type_num_heads=4,
)
#: As published; the range of pixels apart, which is 1.5 in the first stage.
SCHEDULER = dict(
    beta_schedule="squaredcos_cap_v2",
    variance_type="learned_range",
    clip_sample=True,
    thresholding=True,
    dynamic_thresholding_ratio=0.95,
)


def tokenizer(words: tuple[str, ...] = tiny.WORDS) -> T5Tokenizer:
    """A T5 tokenizer that knows a few words whole; every other word is a token a letter. Its files say 512 tokens."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [("▁" + word, -3.0 - place * 1e-3) for place, word in enumerate(words)]
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,'!?-()"
    pieces += [(letter, -8.0 - place * 1e-3) for place, letter in enumerate(letters)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def louder(network: UNet2DConditionModel) -> UNet2DConditionModel:
    """Random texts say little: what they add is made larger, so that an edit changes something."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("add_v_proj.weight"):
                weight.mul_(4)
            elif name.endswith(("add_k_proj.weight", "to_q.weight")):
                weight.mul_(2)
    return network.eval()


def pipeline(limit: int = 24, sample_size: int = 16, *, unet: dict | None = None) -> IFPipeline:
    """An IF-layout pipeline of pictures as large as the other tiny models', twice `sample_size` a side.

    Args:
        limit: of other tokenizers; T5's reads 77 here.
        unet: further fields of the UNet's configuration.
    """
    torch.manual_seed(0)
    words = tokenizer()
    network = UNet2DConditionModel(**NETWORK | OWN | {"sample_size": 2 * sample_size} | (unet or {}))
    text = T5EncoderModel(
        T5Config(
            vocab_size=len(words),
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=1,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
        )
    )
    made = IFPipeline(
        tokenizer=words,
        text_encoder=text.eval(),
        unet=louder(network),
        scheduler=DDPMScheduler(**SCHEDULER, sample_max_value=1.5),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def second_stage(first: IFPipeline) -> IFSuperResolutionPipeline:
    """A tiny second stage, which makes twice as large what `first` draws."""
    torch.manual_seed(1)
    further = {"in_channels": 6, "sample_size": 64, "class_embed_type": "timestep"}
    made = IFSuperResolutionPipeline(
        tokenizer=first.tokenizer,
        text_encoder=first.text_encoder,
        unet=UNet2DConditionModel(**NETWORK | OWN | further).eval(),
        scheduler=DDPMScheduler(**SCHEDULER, sample_max_value=1.0),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made
