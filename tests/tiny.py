"""Tiny models of the real classes, with random weights: what unit tests run on."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = ("a", "cat", "dog", "on", "beach", "the", "red", "car", "at", "night")


def tokenizer(limit: int = 24, words: tuple[str, ...] = WORDS) -> CLIPTokenizer:
    """A CLIP tokenizer that knows a few words whole; every other word is one token a letter."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = []
    for word in words:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            if (pieces[0], pieces[1]) not in merges:
                merges.append((pieces[0], pieces[1]))
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), *(x + y for x, y in merges), START, END]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=END, model_max_length=limit)


def text_encoder(words: CLIPTokenizer, limit: int) -> CLIPTextModel:
    """Random weights for a vocabulary, reading up to `limit` tokens."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=limit,
            eos_token_id=words.eos_token_id,
            bos_token_id=words.bos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )


def pipeline(
    limit: int = 24, sample_size: int = 16, *, unet: dict | None = None, prediction_type: str = "epsilon"
) -> StableDiffusionPipeline:
    """A Stable-Diffusion-layout pipeline with three levels; attention at all of them, and sharpened.

    Args:
        unet: further fields of the UNet's configuration.
    """
    torch.manual_seed(0)
    words = tokenizer(limit)
    fields = dict(
        sample_size=sample_size,
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
    )
    network = UNet2DConditionModel(**fields | (unet or {}))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(("to_q.weight", "to_k.weight")):
                weight.mul_(4)  # random attention is flat: sharpened, so that carrying it over changes something
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4,
        norm_num_groups=4,
        sample_size=sample_size * 2,
    )
    text = text_encoder(words, limit)
    config = dict(
        prediction_type=prediction_type,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
    )
    made = StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=text.eval(),
        tokenizer=words,
        unet=network.eval(),
        scheduler=DDIMScheduler(**config, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def save(folder: Path) -> Path:
    """A tiny pipeline on disk, as a models file names it; returns its tokenizer.json."""
    pipeline().save_pretrained(folder)
    path = folder / "tokenizer" / "tokenizer.json"
    assert json.loads(path.read_text())["model"]["type"] == "BPE"
    return path
