"""The transformer that paints tokens, and its text encoder: diffusers' aMUSEd, small."""

from pathlib import Path

import torch
from diffusers import UVit2DModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from scenes.dataset import FACTOR
from scenes.render import SIZE
from scenes.tokens.vq import CODEBOOK
from scenes.words_apart import WordsApart

#: Image tokens a side.
SIDE = SIZE // FACTOR
#: aMUSEd's vocabulary is the codebook and 64 more, the last of which is the masked token.
VOCABULARY = CODEBOOK + 64
MASKED = VOCABULARY - 1
WIDTH, CHANNELS, HEAD = 192, 128, 32
TEXT_WIDTH = 96
#: Convolution blocks a side. Nothing but their borders tells this network where a token stands: it has no embedding of
#: the position. Three blocks see three cells far, before the transformer and once more after it.
BLOCKS = 3
LAYERS = 4
#: Width, height, the crop's corner and aMUSEd's default for the aesthetic score, as `AmusedPipeline` gives them.
MICRO_CONDITIONS = (float(SIZE), float(SIZE), 0.0, 0.0, 6.0)


def build(tokenizer: CLIPTokenizer) -> tuple[UVit2DModel, CLIPTextModelWithProjection]:
    """An untrained transformer and text encoder."""
    network = UVit2DModel(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // HEAD,
        intermediate_size=WIDTH * 7 // 3,
        in_channels=WIDTH,
        block_out_channels=CHANNELS,
        block_num_heads=CHANNELS // HEAD,
        num_res_blocks=BLOCKS,
        vocab_size=VOCABULARY,
        codebook_size=CODEBOOK,
        encoder_hidden_size=TEXT_WIDTH,
        cond_embed_dim=TEXT_WIDTH,
        micro_cond_encode_dim=16,
        micro_cond_embed_dim=16 * len(MICRO_CONDITIONS),
        sample_size=SIDE,
    )
    nn.init.normal_(network.embed.embeddings.weight, std=0.02)
    # What the pooled embedding does to every norm and block starts at nothing.
    for name, module in network.named_modules():
        if name.endswith(("cond_embeds_mapper", "norm1.linear", "norm2.linear", "norm3.linear")):
            nn.init.zeros_(module.weight)
    text_encoder = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=256,
            # Two that are read, and one more for the pooled embedding: aMUSEd reads the last but one.
            num_hidden_layers=3,
            num_attention_heads=4,
            projection_dim=TEXT_WIDTH,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    return network, text_encoder


def warm_start(text_encoder: CLIPTextModelWithProjection, folder: Path) -> int:
    """Takes over the two layers of the built-in model `scenes`, whose tokenizer this one has too.

    Args:
        folder: of that model's text encoder.
    Returns:
        how many tensors were taken over.
    """
    state = text_encoder.state_dict()
    trained = CLIPTextModel.from_pretrained(folder, dtype=torch.float32).state_dict()
    named = {name if name.startswith("text_model.") else f"text_model.{name}": w for name, w in trained.items()}
    taken = {name: w for name, w in named.items() if name in state and state[name].shape == w.shape}
    text_encoder.load_state_dict(state | taken)
    return len(taken)


def looks_at_text(site: str) -> bool:
    """Whether an attention site (a name of `attn_processors`) looks at the text; both of a convolution block's do."""
    return ".attention_blocks." in site or ".attn2." in site


def read(text_encoder: CLIPTextModelWithProjection, words: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the transformer gets of (batch, MAX_LENGTH) ids: (batch, MAX_LENGTH, width), and pooled (batch, width)."""
    output = text_encoder(words, output_hidden_states=True)
    return output.hidden_states[-2], output.text_embeds


class CaptionsApart(WordsApart):
    """Each word speaks for itself, and the pooled embedding for another caption.

    The pooled embedding reaches every layer, and no edit of attention reaches it. A transformer that could read the
    caption there would not look at the words.
    """

    def encoded(self, tokens: torch.Tensor) -> torch.Tensor:
        return read(self.text_encoder, tokens)[0]

    def pooled(self, tokens: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(batch, width): other captions' for captions, and the empty caption's own."""
        own = read(self.text_encoder, tokens)[1]
        others = own[torch.randperm(len(own), generator=generator).to(own.device)]
        return torch.where((~self.special[tokens]).any(1, keepdim=True), others, own)
