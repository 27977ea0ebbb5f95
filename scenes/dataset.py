"""Drawn scenes as training examples, in shards: shard n is the same wherever and whenever it is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer, PreTrainedTokenizerBase

from scenes import checkpoint
from scenes.autoencoder import to_pixels
from scenes.render import SIZE, Layout, Picture, draw
from scenes.world import Scene, random_scene

SHARD = 4096
#: Pixels a latent cell covers, a side.
FACTOR = 4
#: Pictures encoded at once.
CHUNK = 128


@dataclass
class Examples:
    """Training examples.

    Attributes:
        latents: (n, 8, 16, 16), the encoder's mean, not yet scaled, half precision.
        tokens: (n, MAX_LENGTH) ids of the caption, padded.
        named: (n, MAX_LENGTH) which thing of the scene a token names: 0, 1, or -1 for none.
        cells: (n, 2, 16, 16) bool, the latent cells each thing touches.
    """

    latents: torch.Tensor
    tokens: torch.Tensor
    named: torch.Tensor
    cells: torch.Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def chosen(self, indices: torch.Tensor) -> "Examples":
        """Those of some indices, in their order."""
        return Examples(*(getattr(self, name)[indices] for name in Examples.__annotations__))

    @classmethod
    def together(cls, shards: Sequence["Examples"]) -> "Examples":
        return cls(*(torch.cat([getattr(s, name) for s in shards]) for name in cls.__annotations__))


def tokens_naming(scene: Scene, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The caption's padded token ids, and per token the index of the thing its word names, or -1."""
    caption = scene.caption()
    encoded = tokenizer(caption, padding="max_length", return_offsets_mapping=True)
    named = [-1] * len(encoded.input_ids)
    start = 0
    for index, thing in enumerate(scene.things):
        start = caption.index(thing.words(), start)
        end = start + len(thing.words())
        for position, (left, right) in enumerate(encoded["offset_mapping"]):
            if start <= left < right <= end:
                named[position] = index
        start = end
    return encoded.input_ids, named


def cells_of(masks: Sequence[np.ndarray]) -> np.ndarray:
    """(2, 16, 16) bool: the latent cells that each of up to two masks touches."""
    cells = np.zeros((2, SIZE // FACTOR, SIZE // FACTOR), bool)
    for index, mask in enumerate(masks):
        cells[index] = mask.reshape(SIZE // FACTOR, FACTOR, SIZE // FACTOR, FACTOR).any((1, 3))
    return cells


def drawn(index: int) -> tuple[list[Scene], list[Picture]]:
    """The scenes of shard `index` and their pictures."""
    rng = np.random.default_rng([11, index])
    scenes = [random_scene(rng) for _ in range(SHARD)]
    return scenes, pictures_of(scenes, rng)


def pictures_of(scenes: Sequence[Scene], rng: np.random.Generator) -> list[Picture]:
    """A picture of each scene, its layout drawn at random."""
    # A lone thing is drawn small and aside now and then: that is what is left when the other one is removed.
    rooms = [2 if len(scene.things) == 2 or rng.random() < 0.2 else 1 for scene in scenes]
    return [draw(s, Layout.drawn(int(rng.integers(2**31)), room)) for s, room in zip(scenes, rooms, strict=True)]


def shard(folder: Path, index: int, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> Examples:
    """Shard `index`, from `folder/shards` where it was drawn before."""
    path = folder / "shards" / f"{index:04d}.pt"
    if kept := checkpoint.load(path):
        return Examples(**kept)
    examples = examples_of(*drawn(index), vae, tokenizer)
    checkpoint.save(path, vars(examples))
    return examples


@torch.no_grad()
def examples_of(
    scenes: Sequence[Scene], pictures: Sequence[Picture], vae: AutoencoderKL, tokenizer: CLIPTokenizer
) -> Examples:
    """Scenes and their pictures as training examples."""
    latents = []
    for start in range(0, len(scenes), CHUNK):
        images = np.stack([picture.image for picture in pictures[start : start + CHUNK]])
        latents.append(vae.encode(to_pixels(images).to(vae.device)).latent_dist.mean.half().cpu())
    tokens, named = zip(*(tokens_naming(scene, tokenizer) for scene in scenes), strict=True)
    cells = torch.from_numpy(np.stack([cells_of(picture.masks) for picture in pictures]))
    return Examples(torch.cat(latents), torch.tensor(tokens), torch.tensor(named), cells)
