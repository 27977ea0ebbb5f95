"""SD 1.x, SD 2.x and everything of their layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts.base import Checkpoint, Layout, Parts
from p2p.layouts.schedulers import SCHEDULER_CLASSES


def _cell(parts: Parts) -> int:
    """The autoencoder halves a picture between its blocks; four of them where its file does not say (SD's own)."""
    return 2 ** (len(parts["vae"].config.get("block_out_channels", range(4))) - 1)


STABLE_DIFFUSION = Layout(
    kinds={
        # All run the same network; an inpainting network is recognised by its channels, and a distilled one, whose
        # guidance scale is an input, by `time_cond_proj_dim`.
        "model_index": (
            "StableDiffusionPipeline",
            "StableDiffusionImg2ImgPipeline",
            "StableDiffusionInpaintPipeline",
            "LatentConsistencyModelPipeline",
        ),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "text_encoder": ("CLIPTextModel",),
        "unet": ("UNet2DConditionModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": tuple(SCHEDULER_CLASSES.values()),
    },
    unused=("safety_checker", "feature_extractor", "image_encoder"),
    configs={
        "unet": {
            "sample_size": int,
            # Inputs beside the latents, the timestep and the text: the sampler gives none.
            "addition_embed_type": (None,),
            "class_embed_type": (None,),
            "num_class_embeds": (None,),
            "encoder_hid_dim": (None,),
            "encoder_hid_dim_type": (None,),
            "attention_type": ("default",),
            # Attention of another shape than a layer for the pixels and one for the text.
            "only_cross_attention": (False,),
            "mid_block_only_cross_attention": (None, False),
            "dual_cross_attention": (False,),
            "cross_attention_norm": (None,),
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "mid_block_type": ("UNetMidBlock2DCrossAttn",),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        },
        # Latents are scaled by `scaling_factor` alone.
        "vae": {"shift_factor": (None,), "latents_mean": (None,), "latents_std": (None,)},
        # What `p2p.samplers.predictions` has a formula for.
        "scheduler": {"prediction_type": ("epsilon", "v_prediction", "sample")},
    },
    equal=[
        ("unet.in_channels", "vae.latent_channels"),
        ("unet.out_channels", "vae.latent_channels"),
        ("unet.cross_attention_dim", "text_encoder.hidden_size"),
    ],
    hints={
        ("unet.in_channels", 5): "a depth model's",
        ("unet.in_channels", 7): "an upscaler's",
        ("unet.in_channels", 8): "that of a model that edits by instructions",
        ("unet.in_channels", 9): "an inpainting model's",
        ("unet.addition_embed_type", "text_time"): "SDXL's, the family stable_diffusion_xl",
        ("unet.addition_embed_type", "text"): "DeepFloyd IF's",
        ("unet.class_embed_type", "projection"): "an unCLIP model's",
        ("unet.class_embed_type", "identity"): "an unCLIP decoder's",
        ("unet.encoder_hid_dim_type", "ip_image_proj"): "an IP-Adapter's",
    },
    mends={"scheduler": 'say `scheduler = "ddim"`, or another that is handled, in its table of the models file'},
    token_limit="text_encoder.max_position_embeddings",
    cell=_cell,
    # The names of CompVis's code: the text encoder is OpenAI's CLIP in 1.x and OpenCLIP in 2.x.
    checkpoint=Checkpoint(
        network="model.diffusion_model.",
        parts={
            "unet": ["model.diffusion_model.input_blocks.0.0.weight"],
            "vae": ["first_stage_model.decoder.conv_in.weight"],
            "text_encoder": [
                "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
                "cond_stage_model.model.token_embedding.weight",
            ],
        },
        sides=[
            ("model.diffusion_model.", "input_blocks.0.0.weight", 1, "unet.in_channels"),
            ("model.diffusion_model.", "diffusion_model.out.2.weight", 0, "unet.out_channels"),
            ("model.diffusion_model.", ".attn2.to_k.weight", 1, "unet.cross_attention_dim"),
            ("first_stage_model.", "decoder.conv_in.weight", 1, "vae.latent_channels"),
            ("cond_stage_model.", "token_embedding.weight", 1, "text_encoder.hidden_size"),
            ("cond_stage_model.", "token_embedding.weight", 0, "text_encoder.vocab_size"),
            ("cond_stage_model.", "position_embedding.weight", 0, "text_encoder.max_position_embeddings"),
        ],
        own=["cond_stage_model.transformer.", "cond_stage_model.model."],
    ),
)
