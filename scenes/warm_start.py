"""Goes on training the committed model where no checkpoint is left, for example on a fresh clone."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from scenes import checkpoint


def from_model(model: Path, folder: Path, batch: int) -> None:
    """Writes checkpoints to `folder` that hold a model's weights; does nothing if checkpoints are.

    What a checkpoint holds beyond that is lost: the optimizer's state, and the precision beyond half.

    Args:
        model: a directory as `scenes.train.export` writes it.
        folder: of the run.
        batch: samples of a step, by which the samples seen count as steps.
    """
    if (folder / "painter.pt").exists():
        return
    vae = AutoencoderKL.from_pretrained(model / "vae", dtype=torch.float32)
    unet = UNet2DConditionModel.from_pretrained(model / "unet", dtype=torch.float32)
    text_encoder = CLIPTextModel.from_pretrained(model / "text_encoder", dtype=torch.float32)
    CLIPTokenizer.from_pretrained(model / "tokenizer").save_pretrained(folder / "tokenizer")
    vae.save_pretrained(folder / "vae")
    samples_seen = json.loads((model / "training.json").read_text())["samples_seen"]
    state = {"step": samples_seen // batch, "optimizer": None, "ema": [*unet.parameters(), *text_encoder.parameters()]}
    weights = {"unet": unet.state_dict(), "text_encoder": text_encoder.state_dict()}
    checkpoint.save(folder / "painter.pt", state | weights)
