"""CLIP similarity: how well a picture goes with a prompt (Hessel et al. 2021, as torchmetrics' `CLIPScore`)."""

from typing import Any

import numpy as np
import torch


@torch.no_grad()
def clip_similarity(picture: np.ndarray, prompt: str, model: Any, processor: Any) -> float:
    """A hundred times the cosine of a picture, (height, width, 3) uint8, and a prompt; at least 0.

    Args:
        model, processor: a `transformers.CLIPModel` and its processor; the published figures are of
            `openai/clip-vit-large-patch14`.
    """
    limit = model.config.text_config.max_position_embeddings
    text = processor.tokenizer([prompt], return_tensors="pt", truncation=True, max_length=limit)
    pixels = processor.image_processor([picture], return_tensors="pt")["pixel_values"]
    said = model(
        input_ids=text["input_ids"].to(model.device),
        attention_mask=text["attention_mask"].to(model.device),
        pixel_values=pixels.to(model.device),
    )
    return max(0.0, 100 * float((said.image_embeds * said.text_embeds).sum()))  # CLIPModel gives unit vectors


def inside(picture: np.ndarray, region: np.ndarray) -> np.ndarray:
    """A picture with everything outside its region blackened, uint8."""
    return picture * region[..., None].astype(np.uint8)
