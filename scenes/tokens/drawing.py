"""Drawn scenes in shards, drawn by many processes at a time.

A shard is a file. A process hands it over by writing it, and a training that goes on finds it already drawn. Shard n
shows the scenes of the painter's shard n (`scenes.dataset.drawn`), wherever and whenever it is drawn.
"""

import multiprocessing
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from transformers import CLIPTokenizer, PreTrainedTokenizerBase

from scenes import checkpoint
from scenes.dataset import cells_of, drawn, tokens_naming
from scenes.render import Layout, Picture, draw
from scenes.world import Scene, random_scene


@dataclass
class Pictures:
    """Drawn scenes and what is known of them.

    Attributes:
        images: (n, SIZE, SIZE, 3) uint8.
        words: (n, MAX_LENGTH) int16, token ids of the caption, padded.
        named: (n, MAX_LENGTH) int8, which thing of the scene a word's token names: 0, 1, or -1 for none.
        cells: (n, 2, 16, 16) bool, the cells of image tokens that each thing touches.
    """

    images: torch.Tensor
    words: torch.Tensor
    named: torch.Tensor
    cells: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, scenes: list[Scene], pictures: list[Picture], tokenizer: PreTrainedTokenizerBase) -> "Pictures":
        words, named = zip(*(tokens_naming(scene, tokenizer) for scene in scenes), strict=True)
        return cls(
            torch.from_numpy(np.stack([picture.image for picture in pictures])),
            torch.tensor(words, dtype=torch.int16),
            torch.tensor(named, dtype=torch.int8),
            torch.from_numpy(np.stack([cells_of(picture.masks) for picture in pictures])),
        )

    @classmethod
    def together(cls, parts: Sequence["Pictures"]) -> "Pictures":
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__annotations__))


def held_out(count: int, tokenizer: CLIPTokenizer) -> Pictures:
    """Pictures of combinations that training never sees."""
    rng = np.random.default_rng([777, count])
    scenes = [random_scene(rng, held_out=True) for _ in range(count)]
    layouts = [Layout.drawn(int(rng.integers(2**31)), room=len(scene.things)) for scene in scenes]
    return Pictures.of(scenes, [draw(s, layout) for s, layout in zip(scenes, layouts, strict=True)], tokenizer)


class Drawing:
    """The shards 0 to `count` - 1 in their order, drawn meanwhile; to be used in a `with` statement.

    Args:
        folder: of the run; holds the tokenizer, and gets the shards.
        processes: that draw; 0 draws each shard when it is asked for.
    """

    def __init__(self, folder: Path, count: int, processes: int) -> None:
        self.folder, self.count, self.processes = folder, count, processes
        self.given = 0
        self.coming: deque[Future[None]] = deque()

    def __enter__(self) -> "Drawing":
        if self.processes:
            # Forked from a process without threads and without CUDA: a fork of this one could hang.
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([__name__])
            self.pool = ProcessPoolExecutor(self.processes, context, initializer=_one_thread)
            self.coming.extend(self.pool.submit(draw_shard, self.folder, index) for index in range(self.count))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.processes:
            self.pool.shutdown(wait=False, cancel_futures=True)

    @property
    def ready(self) -> bool:
        """Whether there is a next shard, and `next` need not wait for it."""
        if self.given == self.count:
            return False
        return self.coming[0].done() if self.processes else path_of(self.folder, self.given).exists()

    def next(self) -> Pictures:
        """The next shard, once it is drawn.

        Raises:
            IndexError: the last one was given.
        """
        if self.given == self.count:
            raise IndexError(f"there are {self.count} shards, and all were given")
        if self.processes:
            self.coming.popleft().result()
        else:
            draw_shard(self.folder, self.given)
        self.given += 1
        return Pictures(**(checkpoint.load(path_of(self.folder, self.given - 1)) or {}))


def path_of(folder: Path, index: int) -> Path:
    return folder / "pictures" / f"{index:04d}.pt"


def draw_shard(folder: Path, index: int) -> None:
    """Draws shard `index` into its file, unless it is there."""
    path = path_of(folder, index)
    if not path.exists():
        checkpoint.save(path, vars(Pictures.of(*drawn(index), _tokenizer(folder))))


def _one_thread() -> None:
    torch.set_num_threads(1)


@cache
def _tokenizer(folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(folder / "tokenizer")
