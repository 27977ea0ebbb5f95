"""SDXL and everything of its layout. The keys are those of diffusers 0.42's configurations."""

from p2p.layouts.base import Checkpoint, Layout, Reader
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
    # Published textual inversions have CLIP's two names, whatever trained them.
    readers=(
        Reader("tokenizer", "text_encoder", learned="clip_l"),
        Reader("tokenizer_2", "text_encoder_2", learned="clip_g"),
    ),
    # The names of Stability's code: the first text encoder is OpenAI's CLIP, the second one OpenCLIP.
    checkpoint=Checkpoint(
        network="model.diffusion_model.",
        parts={
            "unet": ["model.diffusion_model.input_blocks.0.0.weight"],
            "vae": ["first_stage_model.decoder.conv_in.weight"],
            "text_encoder": ["conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight"],
            "text_encoder_2": ["conditioner.embedders.1.model.token_embedding.weight"],
        },
        sides=[
            ("model.diffusion_model.", "input_blocks.0.0.weight", 1, "unet.in_channels"),
            ("model.diffusion_model.", "diffusion_model.out.2.weight", 0, "unet.out_channels"),
            ("model.diffusion_model.", ".attn2.to_k.weight", 1, "unet.cross_attention_dim"),
            ("model.diffusion_model.", "label_emb.0.0.weight", 1, "unet.projection_class_embeddings_input_dim"),
            ("first_stage_model.", "decoder.conv_in.weight", 1, "vae.latent_channels"),
            ("conditioner.embedders.0.", "token_embedding.weight", 1, "text_encoder.hidden_size"),
            ("conditioner.embedders.0.", "token_embedding.weight", 0, "text_encoder.vocab_size"),
            ("conditioner.embedders.0.", "position_embedding.weight", 0, "text_encoder.max_position_embeddings"),
            ("conditioner.embedders.1.", "token_embedding.weight", 1, "text_encoder_2.hidden_size"),
            ("conditioner.embedders.1.", "token_embedding.weight", 0, "text_encoder_2.vocab_size"),
            ("conditioner.embedders.1.", "positional_embedding", 0, "text_encoder_2.max_position_embeddings"),
            ("conditioner.embedders.1.", "text_projection", 1, "text_encoder_2.projection_dim"),
        ],
        own=["conditioner.embedders.1."],
    ),
)
