"""Stable Diffusion's upscaler as a further model, and everything of its layout. The keys are diffusers 0.42's."""

from p2p.layouts.base import Layout
from p2p.layouts.stable_diffusion import STABLE_DIFFUSION

#: What its autoencoder's latents are divided by. diffusers' pipeline puts this in the place of any other number.
SCALING = 0.08333

_UNET = STABLE_DIFFUSION.configs["unet"]

UPSCALER = Layout(
    kinds={
        "model_index": ("StableDiffusionUpscalePipeline",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "text_encoder": ("CLIPTextModel",),
        "unet": ("UNet2DConditionModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": ("DDIMScheduler",),
        "low_res_scheduler": ("DDPMScheduler",),
    },
    unused=("safety_checker", "feature_extractor", "watermarker"),
    configs={
        # As Stable Diffusion's, with the picture beside the latents, and with how much noise was added to it. Layers
        # may have no attention to pixels: nobody controls them here.
        "unet": {
            **{key: handled for key, handled in _UNET.items() if not key.endswith("only_cross_attention")},
            "in_channels": (7,),
            "out_channels": (4,),
            "num_class_embeds": int,
        },
        "vae": {**STABLE_DIFFUSION.configs["vae"], "scaling_factor": (SCALING,)},
    },
    equal=[
        ("unet.out_channels", "vae.latent_channels"),
        ("unet.cross_attention_dim", "text_encoder.hidden_size"),
    ],
    hints={("unet.in_channels", 4): "that of Stable Diffusion", ("unet.in_channels", 6): "a stage's of DeepFloyd IF"},
    mends={"scheduler": "set `_class_name` of its scheduler's file to DDIMScheduler, with which it is published"},
    token_limit="text_encoder.max_position_embeddings",
    cell=STABLE_DIFFUSION.cell,
    # Its latents are as large as the picture that it is given: what the autoencoder makes of a cell is the factor.
    enlarges=lambda parts, side: STABLE_DIFFUSION.cell(parts),
)
