"""Tiny models of flows, pixels and text in one softmax: SD3.5 medium, FLUX.1, FLUX.2 klein, Z-Image, Qwen-Image."""

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from p2p.layouts.qwen_image import PREFIX
from tests import tiny

#: Shaped like Qwen3's own.
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-'!?"


def t5_tokenizer(limit: int = 40, words: tuple[str, ...] = tiny.WORDS) -> T5Tokenizer:
    """A T5 tokenizer that knows some words whole; every other word is one token a letter."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -1.0) for word in words] + [("▁", -3.0)] + [(letter, -4.0) for letter in _LETTERS]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=limit)


def _clip(kind, words, width: int, layers: int = 2):
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=words.model_max_length,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        initializer_factor=3.0,
    )
    return kind(config).eval()


def _t5(words, width: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=len(words),
        d_model=width,
        d_kv=width // 2,
        d_ff=2 * width,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        pad_token_id=0,
        eos_token_id=1,
        dropout_rate=0.0,
    )
    return T5EncoderModel(config).eval()


def _vae(scaling: float, shift: float) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    ).eval()


def qwen_tokenizer(words: tuple[str, ...] = tiny.WORDS, limit: int = 96) -> Qwen2Tokenizer:
    """A Qwen tokenizer with Qwen3's template that knows some words whole, each with the space before it."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    alphabet, merges = sorted(pre_tokenizers.ByteLevel.alphabet()), []
    for word in words:
        pieces = ["Ġ", *word]
        while len(pieces) > 1:
            if (pieces[0], pieces[1]) not in merges:
                merges.append((pieces[0], pieces[1]))
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    tokens = [*special, *alphabet, *(one + other for one, other in merges)]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    further = {"additional_special_tokens": special[1:], "chat_template": _CHAT}
    return Qwen2Tokenizer(vocab=vocab, merges=merges, model_max_length=limit, **further)


def klein(sample_size: int = 16, *, distilled: bool = True) -> Flux2KleinPipeline:
    """A pipeline of FLUX.2 klein's layout, distilled or not: a block of two streams, one of one."""
    torch.manual_seed(0)
    words = qwen_tokenizer()
    network = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=32,
        mlp_ratio=2.0,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "stream_modulation" in name or name == "context_embedder.weight":
                weight.mul_(4)
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        mid_block_add_attention=False,
    )
    with torch.no_grad():
        vae.bn.running_mean.normal_()
        vae.bn.running_var.uniform_(0.5, 2)
    encoder = Qwen3ForCausalLM(_qwen3(words, 27))  # the states of its 9th, 18th and 27th layer are the text
    with torch.no_grad():
        encoder.get_input_embeddings().weight.mul_(50)  # or states of early layers say nothing
    made = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae.eval(),
        text_encoder=encoder.eval(),
        tokenizer=words,
        transformer=_sharpened(network),
        is_distilled=distilled,
    )
    made.default_sample_size = sample_size
    made.set_progress_bar_config(disable=True)
    return made


def _qwen3(words: Qwen2Tokenizer, layers: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=1024,
    )


def z_image(sample_size: int = 16) -> ZImagePipeline:
    """A pipeline of Z-Image's layout: a refiner of pixels, one of texts, two layers of both."""
    torch.manual_seed(0)
    words = qwen_tokenizer(limit=96)
    network = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[4, 6, 6],
        axes_lens=[256, 64, 64],
    )
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name in ("x_pad_token", "cap_pad_token"):
                weight.normal_()
            elif name.endswith(("cap_embedder.1.weight", "adaLN_modulation.0.weight")):
                weight.mul_(4)
    made = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(0.3611, 0.1159),
        text_encoder=Qwen3Model(_qwen3(words, 3)).eval(),
        tokenizer=words,
        transformer=_sharpened(network),
    )
    made.default_sample_size = sample_size  # the pipeline's own is 1024 pixels, and stands in its code alone
    made.set_progress_bar_config(disable=True)
    return made


def qwen_image(sample_size: int = 16) -> QwenImagePipeline:
    """A pipeline of Qwen-Image's layout: two blocks of two streams."""
    torch.manual_seed(0)
    words = qwen_tokenizer((*tiny.WORDS, *PREFIX.replace(",", " ").split()), limit=96)
    network = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 6, 6),
    )
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(("txt_in.weight", "_mod.1.weight")):
                weight.mul_(4)
    text = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3], "rope_type": "default"},
    }
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision | {"fullatt_block_indexes": [0]})
    mean, deviation = [-0.7, 0.2, 0.5, -0.1], [2.8, 1.4, 2.3, 1.1]
    vae = {"base_dim": 8, "z_dim": 4, "dim_mult": [1, 1], "num_res_blocks": 1, "temperal_downsample": [False]}
    made = QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, max_shift=0.9, shift_terminal=0.02),
        vae=AutoencoderKLQwenImage(**vae, latents_mean=mean, latents_std=deviation).eval(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=words,
        transformer=_sharpened(network),
    )
    made.default_sample_size = sample_size
    made.set_progress_bar_config(disable=True)
    return made


def _sharpened(network: torch.nn.Module) -> torch.nn.Module:
    """Random attention is flat, and random texts look alike: sharpened, so that an edit changes something."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if any(part in name for part in ("norm_q.", "norm_k.", "norm_added_q.", "norm_added_k.")):
                weight.uniform_(1.2, 2.2)
            elif name.endswith("context_embedder.weight"):
                weight.mul_(6)
            elif name.endswith(("to_v.weight", "add_v_proj.weight", "to_out.0.weight", "to_add_out.weight")):
                weight.mul_(2)
            elif (".norm1" in name and name.endswith("linear.weight")) or ".norm.linear.weight" in name:
                weight.mul_(3)
    return network.eval()


def sd3(limit: int = 24, sample_size: int = 16) -> StableDiffusion3Pipeline:
    """A pipeline of SD3.5 medium's layout: three joint blocks, the first one with an `attn2`."""
    torch.manual_seed(0)
    clip, t5 = tiny.tokenizer(limit), t5_tokenizer()
    network = SD3Transformer2DModel(
        sample_size=sample_size,
        in_channels=4,
        out_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pooled_projection_dim=32,
        pos_embed_max_size=24,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    made = StableDiffusion3Pipeline(
        transformer=_sharpened(network),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(1.5305, 0.0609),
        text_encoder=_clip(CLIPTextModelWithProjection, clip, 16),
        tokenizer=clip,
        text_encoder_2=_clip(CLIPTextModelWithProjection, clip, 16),
        tokenizer_2=tiny.tokenizer(limit),
        text_encoder_3=_t5(t5, 32),
        tokenizer_3=t5,
    )
    made.set_progress_bar_config(disable=True)
    return made


def flux(limit: int = 24, sample_size: int = 16, *, guidance: bool = True) -> FluxPipeline:
    """A pipeline of FLUX.1 dev's layout, or of schnell's without guidance: a block of two streams, two of one."""
    torch.manual_seed(0)
    clip, t5 = tiny.tokenizer(limit), t5_tokenizer()
    network = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=16,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 6, 6),
    )
    made = FluxPipeline(
        transformer=_sharpened(network),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=_vae(0.3611, 0.1159),
        text_encoder=_clip(CLIPTextModel, clip, 16),
        tokenizer=clip,
        text_encoder_2=_t5(t5, 32),
        tokenizer_2=t5,
    )
    made.default_sample_size = sample_size  # its configuration has none, and the pipeline's own is 128
    made.set_progress_bar_config(disable=True)
    return made
