"""unCLIP as Karlo is published, and everything of its layout. The keys are diffusers 0.42's."""

from collections.abc import Sequence

from p2p.layouts.base import Layout, Parts
from p2p.layouts.deepfloyd_if import ADDED_KEYS, halvings, side_of
from p2p.layouts.reach import Reach

_SCHEDULER = {"prediction_type": ("epsilon",)}


def _draws(parts: Parts) -> Sequence[Reach]:
    """The decoder's own pixels, and those that the super-resolution makes of them."""
    own = Reach(1, side_of(parts, "decoder", 64))
    return own, own.further(max(1, side_of(parts, "super_res_first", 256) // own.side))


UNCLIP = Layout(
    kinds={
        "model_index": ("UnCLIPPipeline",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "text_encoder": ("CLIPTextModelWithProjection",),
        "prior": ("PriorTransformer",),
        "text_proj": ("UnCLIPTextProjModel",),
        "decoder": ("UNet2DConditionModel",),
        "super_res_first": ("UNet2DModel",),
        "super_res_last": ("UNet2DModel",),
        "prior_scheduler": ("UnCLIPScheduler",),
        "decoder_scheduler": ("UnCLIPScheduler",),
        "super_res_scheduler": ("UnCLIPScheduler",),
    },
    configs={
        "decoder": {
            "sample_size": int,
            "in_channels": (3,),
            "out_channels": (3, 6),
            "class_embed_type": ("identity",),
            "addition_embed_type": (None,),
            "encoder_hid_dim": (None,),
            "cross_attention_norm": (None, "group_norm", "layer_norm"),
            "time_cond_proj_dim": (None,),
            "only_cross_attention": (False,),
            "mid_block_only_cross_attention": (None, False),
            "dual_cross_attention": (False,),
            **ADDED_KEYS,
        },
        # The family takes this many columns to be of no word.
        "text_proj": {"clip_extra_context_tokens": (4,)},
        "super_res_first": {"in_channels": (6,), "out_channels": (3,)},
        "super_res_last": {"in_channels": (6,), "out_channels": (3,)},
        "prior_scheduler": {"prediction_type": ("sample",)},
        "decoder_scheduler": _SCHEDULER,
        "super_res_scheduler": _SCHEDULER,
    },
    equal=[
        ("text_proj.cross_attention_dim", "decoder.cross_attention_dim"),
        ("text_proj.clip_embeddings_dim", "text_encoder.projection_dim"),
        ("prior.embedding_dim", "text_encoder.projection_dim"),
        ("super_res_first.sample_size", "super_res_last.sample_size"),
    ],
    mends=dict.fromkeys(
        ("prior_scheduler", "decoder_scheduler", "super_res_scheduler"),
        "set `path` to a model with an UnCLIPScheduler for each of its three parts",
    ),
    token_limit="text_encoder.max_position_embeddings",
    reads_chunks=False,
    cuts_off="decoder_scheduler",
    cell=lambda parts: halvings(parts, "decoder"),
    draws=_draws,
)
