"""aMUSEd and everything of its layout: tokens of pictures, drawn by a transformer. Keys are diffusers 0.42's."""

from p2p.layouts.base import Layout, Parts, value_of


def _cell(parts: Parts) -> int:
    """The VQ halves a picture between its blocks; a network that samples down needs pairs of tokens."""
    halvings = len(parts["vqvae"].config.get("block_out_channels", (64,))) - 1
    return 2 ** (halvings + bool(value_of(parts, "transformer.downsample")))


AMUSED = Layout(
    kinds={
        "model_index": ("AmusedPipeline", "AmusedImg2ImgPipeline", "AmusedInpaintPipeline"),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "text_encoder": ("CLIPTextModelWithProjection",),
        "transformer": ("UVit2DModel",),
        "vqvae": ("VQModel",),
        "scheduler": ("AmusedScheduler",),
    },
    configs={
        "transformer": {"sample_size": int, "codebook_size": int, "vocab_size": int},
        # The family decodes codes by their numbers.
        "vqvae": {"lookup_from_codebook": (True,), "norm_type": ("group",)},
        "scheduler": {"mask_token_id": int, "masking_schedule": ("cosine", "linear")},
    },
    equal=[
        ("transformer.codebook_size", "vqvae.num_vq_embeddings"),
        ("transformer.encoder_hidden_size", "text_encoder.hidden_size"),
        ("transformer.cond_embed_dim", "text_encoder.projection_dim"),
        ("transformer.downsample", "transformer.upsample"),
        ("vqvae.vq_embed_dim", "vqvae.latent_channels"),
    ],
    mends={
        "scheduler": "this model draws tokens and has a scheduler of its own: take `scheduler` out of its table of the "
        "models file, and set `path` to a model with an AmusedScheduler"
    },
    token_limit="text_encoder.max_position_embeddings",
    cell=_cell,
    state="tokens",
    overflows_in_float16="vqvae.force_upcast",
)
