"""The UNet that paints pixels, its text encoder and its scheduler: DeepFloyd IF's classes, made small."""

from diffusers import DDPMScheduler, UNet2DConditionModel
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from scenes.render import SIZE

TEXT_WIDTH = 96
#: Channels of the levels, 64x64 to 8x8. Words act at 16x16 and 8x8, where the attention is cheap.
CHANNELS = (32, 48, 96, 160)

#: IF's own, but for what is predicted: a small network learns more from the velocity (`scenes.objective`).
SCHEDULE = dict(
    beta_schedule="squaredcos_cap_v2",
    prediction_type="v_prediction",
    variance_type="learned_range",
    clip_sample=True,
    thresholding=True,
    dynamic_thresholding_ratio=0.95,
    sample_max_value=1.5,
)


def scheduler() -> DDPMScheduler:
    """The scheduler that the model is shipped with."""
    return DDPMScheduler(**SCHEDULE)


def build(tokenizer: T5Tokenizer) -> tuple[UNet2DConditionModel, T5EncoderModel]:
    """An untrained UNet, of 3 channels in and 6 out, and text encoder."""
    unet = UNet2DConditionModel(
        sample_size=SIZE,
        in_channels=3,
        out_channels=6,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D",) * 2 + ("SimpleCrossAttnDownBlock2D",) * 2,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D",) * 2 + ("ResnetUpsampleBlock2D",) * 2,
        act_fn="silu",  # as good as IF's gelu, and cheaper
        attention_head_dim=32,
        cross_attention_dim=TEXT_WIDTH,
        cross_attention_norm="group_norm",
        encoder_hid_dim=TEXT_WIDTH,
        encoder_hid_dim_type="text_proj",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        resnet_time_scale_shift="scale_shift",
        norm_num_groups=16,
    )
    text_encoder = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=TEXT_WIDTH,
            d_kv=24,
            d_ff=256,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    return unet, text_encoder
