"""Trains the UNet and its text encoder together, on scenes that are drawn meanwhile."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import T5Tokenizer

from scenes import checkpoint
from scenes.dataset import SHARD, drawn
from scenes.pixels import network
from scenes.pixels.objective import Objective
from scenes.tokens.budget import Budget, learning_rate
from scenes.tokens.drawing import Pictures
from scenes.tokens.log import Log

BATCH = 16
PEAK_LEARNING_RATE = 1e-3
WARM_UP = 200
EMA_DECAY = 0.999
#: Captions dropped, so that the empty prompt is learnt and guidance has something to push away from.
DROPPED = 0.1
#: Shards that a batch is chosen from, and samples after which a new one takes the oldest one's place.
SHARDS, SAMPLES_A_SHARD = 3, 2 * SHARD
#: A checkpoint at least so often, also on a machine with little time for it.
SAVE_SECONDS = 600
LOG_SECONDS = 60


class Drawn:
    """Scenes to learn from: the newest shards, the same for the same number of samples seen.

    Args:
        shards: at a time.
    """

    def __init__(self, tokenizer: T5Tokenizer, shards: int = SHARDS) -> None:
        self._tokenizer, self._parts = tokenizer, deque[Pictures](maxlen=shards)
        self._next = 0
        self._all: Pictures | None = None

    def at(self, samples: int) -> Pictures:
        """The scenes to choose from once so many samples are seen."""
        room = self._parts.maxlen or 1
        last = samples // SAMPLES_A_SHARD + room - 1
        if self._all is None or self._next <= last:
            for index in range(max(self._next, last - room + 1), last + 1):
                self._parts.append(Pictures.of(*drawn(index), self._tokenizer))
            self._next, self._all = last + 1, Pictures.together(self._parts)
        return self._all


class Training:
    """What is trained, from the checkpoint in a folder where there is one.

    Attributes:
        step: that comes next.
    """

    def __init__(self, folder: Path, tokenizer: T5Tokenizer, device: torch.device, *, use_compiled: bool = False):
        torch.manual_seed(0)
        unet, self._text_encoder = network.build(tokenizer)
        # Not in channels_last: there the backward pass of group norms in bfloat16 takes many times as long on a CPU.
        self._unet = unet.to(device)
        self._text_encoder.to(device)
        self._folder, self._path, self.step = folder, folder / "pixels.pt", 0
        self._parameters = [*self._unet.parameters(), *self._text_encoder.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
        )
        self._ema = checkpoint.Ema(self._parameters, decay=EMA_DECAY)
        if state := checkpoint.load(self._path):
            self.step = state["step"]
            self._unet.load_state_dict(state["unet"])
            self._text_encoder.load_state_dict(state["text_encoder"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._ema.averages = [average.to(device) for average in state["ema"]]
        self._objective = Objective(self._unet, self._text_encoder, tokenizer, use_compiled=use_compiled)

    def learn(self, scenes: Pictures, rate: float) -> dict[str, torch.Tensor]:
        """One step; gives the terms of its loss by name."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(self.step)
        chosen = torch.randint(0, len(scenes), (BATCH,), generator=generator)
        dropped = torch.rand(BATCH, generator=generator) < DROPPED
        batch = Pictures(*(getattr(scenes, name)[chosen] for name in Pictures.__annotations__))
        terms = self._objective(batch, dropped, generator)
        self._optimizer.zero_grad()
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._ema.update(self.step)
        self.step += 1
        return {name: term.detach() for name, term in vars(terms).items()}

    def save(self) -> None:
        """Writes the checkpoint, and the averaged weights as a model."""
        models = {"unet": self._unet.state_dict(), "text_encoder": self._text_encoder.state_dict()}
        state = {"step": self.step, **models, "optimizer": self._optimizer.state_dict(), "ema": self._ema.averages}
        checkpoint.save(self._path, state)
        self._ema.applied(self._export)

    def _export(self) -> None:
        self._unet.save_pretrained(self._folder / "unet")
        self._text_encoder.save_pretrained(self._folder / "text_encoder")


def train(
    folder: Path,
    tokenizer: T5Tokenizer,
    samples: int,
    device: torch.device,
    *,
    use_compiled: bool = False,
    shards: int = SHARDS,
    look: Callable[[int], None] = lambda samples: None,
) -> None:
    """Trains up to so many samples, from the checkpoint in `folder` where there is one.

    Leaves the averaged weights in `folder/unet` and `folder/text_encoder`, and calls `look(samples_seen)` after they
    were written, every ten minutes and at the end. The log's lines are the curve of the loss: means since the line
    before.
    """
    training, scenes = Training(folder, tokenizer, device, use_compiled=use_compiled), Drawn(tokenizer, shards)
    log = Log(folder, "pixels")
    budget = Budget(steps=-(-samples // BATCH))
    noted, saved, since = time.monotonic(), time.monotonic(), []
    while (share := budget.share(training.step)) < 1:
        rate = PEAK_LEARNING_RATE * learning_rate(share, training.step, WARM_UP)
        since.append(training.learn(scenes.at(training.step * BATCH), rate))
        now = time.monotonic()
        if now - noted >= LOG_SECONDS:
            means = {name: float(np.mean([terms[name].item() for terms in since])) for name in since[0]}
            speed = len(since) * BATCH / (now - noted)
            log(samples=training.step * BATCH, **means, rate=rate, samples_per_second=speed)
            noted, since = now, []
        if now - saved >= SAVE_SECONDS:
            training.save()
            look(training.step * BATCH)
            saved = time.monotonic()
    training.save()
    look(training.step * BATCH)
