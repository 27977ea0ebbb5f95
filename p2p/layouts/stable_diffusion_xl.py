"""SDXL and everything of its layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts.base import Layout
from p2p.layouts.stable_diffusion import STABLE_DIFFUSION

_UNET = STABLE_DIFFUSION.configs["unet"]

STABLE_DIFFUSION_XL = Layout(
    kinds={
        "model_index": (
            "StableDiffusionXLPipeline",
            "StableDiffusionXLImg2ImgPipeline",
            "StableDiffusionXLInpaintPipeline",
        ),
        "tokenizer": STABLE_DIFFUSION.kinds["tokenizer"],
        "tokenizer_2": STABLE_DIFFUSION.kinds["tokenizer"],
        "text_encoder": ("CLIPTextModel",),
        "text_encoder_2": ("CLIPTextModelWithProjection",),
        "unet": ("UNet2DConditionModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": STABLE_DIFFUSION.kinds["scheduler"],
    },
    unused=("feature_extractor", "image_encoder"),
    configs={
        "unet": {**_UNET, "addition_embed_type": ("text_time",)},
        # Latents are scaled by `scaling_factor` alone.
        "vae": STABLE_DIFFUSION.configs["vae"],
        "scheduler": STABLE_DIFFUSION.configs["scheduler"],
    },
    equal=[
        ("unet.in_channels", "vae.latent_channels"),
        ("unet.out_channels", "vae.latent_channels"),
    ],
    hints={
        ("unet.in_channels", 8): "that of a model that edits by instructions",
        ("unet.in_channels", 9): "an inpainting model's",
        ("unet.addition_embed_type", None): "that of SD 1.x and 2.x, the family stable_diffusion",
        ("unet.encoder_hid_dim_type", "ip_image_proj"): "an IP-Adapter's",
        ("model_index._class_name", "StableDiffusionXLImg2ImgPipeline"): "the refiner's",
    },
    mends=STABLE_DIFFUSION.mends,
    token_limit="text_encoder.max_position_embeddings",
    cell=STABLE_DIFFUSION.cell,
)
