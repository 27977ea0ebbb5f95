"""Training of the transformer and its text encoders together, on cached latents, by `scenes.flow.objective`."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from scenes import checkpoint
from scenes.dataset import Examples, examples_of, shard
from scenes.flow.captions import BothTokenizers, Reading
from scenes.flow.objective import Objective
from scenes.flow.transformer import Networks, build
from scenes.objective import Terms
from scenes.render import Layout, draw
from scenes.tokens.log import Log
from scenes.tokens.transformer import warm_start
from scenes.world import random_scene

#: Few, so that as many samples make more steps.
BATCH = 16
PEAK_LEARNING_RATE = 1e-3
WARM_UP = 300
#: The text encoders' share of the learning rate: the first one starts trained.
TEXT_RATE = 0.3
#: The last part of the samples over which the learning rate falls to nothing.
COOL_DOWN = 0.3
#: Captions dropped, so that the empty prompt is learnt and guidance has something to push away from.
DROPPED = 0.1
#: A new shard of scenes every so many samples: each scene is seen about four times.
SAMPLES_PER_SHARD = 4 * 4096
EMA_DECAY = 0.999
#: Steps between two lines of the log; its terms are means over them.
LOG_EVERY = 100
SAVE_SECONDS = 600
#: Scenes that are not trained on, and the sigmas at which they are measured.
HELD_OUT, HELD_OUT_SIGMAS = 128, (0.9, 0.6, 0.3)


def learning_rate(samples: int, of: int) -> float:
    """Of the peak: a linear warm-up, and a linear fall over the last samples."""
    return min(1.0, (samples // BATCH + 1) / WARM_UP, (of - samples) / (COOL_DOWN * of))


def train(
    folder: Path,
    samples: int,
    device: torch.device,
    tokenizers: BothTokenizers,
    text_from: Path,
    look: Callable[[int], None] = lambda samples: None,
    *,
    use_compiled: bool = False,
) -> None:
    """Trains until so many samples were seen in all, from the checkpoint in `folder` where there is one.

    Leaves the averaged weights in folders of the pipeline's names, and calls `look(samples_seen)` after they were
    written, about every ten minutes and at the end.

    Args:
        folder: of the run; `folder/vae` is there.
        samples: may differ from an earlier run's: the learning rate falls accordingly.
        text_from: a folder of a text encoder that the first one starts from.
        use_compiled: compiles the transformer's blocks, which takes a minute and saves a third of each step.
    """
    training = _Training(folder, device, tokenizers, text_from)
    if use_compiled:
        training.compile()
    examples, shards, saved = None, 0, time.monotonic()
    sums, since, counted = torch.zeros(3), time.monotonic(), 0
    while training.samples < samples:
        wanted = 1 + training.samples // SAMPLES_PER_SHARD
        if examples is None or shards < wanted:
            new = [shard(folder, index, training.vae, tokenizers) for index in range(shards, wanted)]
            examples, shards = Examples.together([*([examples] if examples else []), *new]), wanted
        rate = learning_rate(training.samples, samples)
        terms = training.learn(examples, PEAK_LEARNING_RATE * rate)
        sums += torch.stack([terms.error, terms.outside, terms.missing]).detach().cpu()
        counted += 1
        if counted == LOG_EVERY:
            error, outside, missing = (sums / counted).tolist()
            per_second = counted * BATCH / (time.monotonic() - since)
            means = {"error": error, "outside": outside, "missing": missing}
            training.log(samples=training.samples, **means, rate=rate, samples_per_second=per_second)
            sums, since, counted = torch.zeros(3), time.monotonic(), 0
        if time.monotonic() - saved >= SAVE_SECONDS or training.samples >= samples:
            training.save(look)
            saved = since = time.monotonic()
            sums, counted = torch.zeros(3), 0


class _Training:
    """What is trained, from the checkpoint in a folder where there is one.

    Attributes:
        samples: scenes that the weights have seen.
    """

    def __init__(self, folder: Path, device: torch.device, tokenizers: BothTokenizers, text_from: Path) -> None:
        torch.manual_seed(0)
        self.log, self.samples = Log(folder, "flow"), 0
        self.vae = AutoencoderKL.from_pretrained(folder / "vae").to(device).eval()
        self._folder, self._path = folder, folder / "flow.pt"
        self._networks: Networks = build(tokenizers.clip, len(tokenizers.t5))
        state = checkpoint.load(self._path)
        if not state:
            self.log(text_tensors_taken_over=warm_start(self._networks.text_encoder, text_from))
        for module in self._networks.named().values():
            module.to(device)
        encoders = self._networks.text_encoder, self._networks.text_encoder_2
        reading = Reading(encoders, self._networks.text_encoder_3, tokenizers.clip, device)
        scale = self.vae.config.scaling_factor
        self._objective = Objective(self._networks, reading, tokenizers.empty(), scale, device)
        self._parameters = self._networks.parameters()
        painter, *readers = self._networks.named().values()
        words = [parameter for module in readers for parameter in module.parameters()]
        groups = [{"params": list(painter.parameters()), "share": 1.0}, {"params": words, "share": TEXT_RATE}]
        self._optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.99), weight_decay=1e-2, fused=True)
        self._ema = checkpoint.Ema(self._parameters, EMA_DECAY)
        if state:
            self._go_on(state, device)
        self._asked = _held_out(self.vae, tokenizers)

    def _go_on(self, state: dict, device: torch.device) -> None:
        self.samples = state["samples"]
        for name, module in self._networks.named().items():
            module.load_state_dict(state[name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._ema.averages = [average.to(device) for average in state["ema"]]

    def compile(self) -> None:
        """Compiles the transformer's blocks, for steps of `learn`."""
        for block in self._networks.transformer.transformer_blocks:
            block.compile(dynamic=False)

    def learn(self, examples: Examples, peak: float) -> Terms:
        """One step, at a learning rate of which each group has its share."""
        for group in self._optimizer.param_groups:
            group["lr"] = peak * group["share"]
        step = self.samples // BATCH
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randint(0, len(examples), (BATCH,), generator=generator)
        dropped = torch.rand(BATCH, generator=generator) < DROPPED
        terms = self._objective(examples.chosen(chosen), dropped, generator)
        self._optimizer.zero_grad()
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._ema.update(step)
        self.samples += BATCH
        return terms

    def save(self, look: Callable[[int], None]) -> None:
        """Writes the checkpoint and the averaged weights as a model, and has it looked at."""
        self._objective.let_go()
        weights = {name: module.state_dict() for name, module in self._networks.named().items()}
        rest = {"samples": self.samples, "ema": self._ema.averages, "optimizer": self._optimizer.state_dict()}
        checkpoint.save(self._path, weights | rest)
        self._ema.applied(self._export)
        look(self.samples)

    def _export(self) -> None:
        errors = {}
        for sigma in HELD_OUT_SIGMAS:
            errors[str(sigma)] = round(self._objective.error(self._asked, sigma, torch.Generator().manual_seed(0)), 4)
        self.log(samples=self.samples, held_out=errors)
        for name, module in self._networks.named().items():
            module.save_pretrained(self._folder / name)


def _held_out(vae: AutoencoderKL, tokenizers: BothTokenizers) -> Examples:
    """Combinations that training never sees."""
    rng = np.random.default_rng([777, HELD_OUT])
    scenes = [random_scene(rng, held_out=True) for _ in range(HELD_OUT)]
    layouts = [Layout.drawn(int(rng.integers(2**31)), room=len(scene.things)) for scene in scenes]
    return examples_of(scenes, [draw(s, at) for s, at in zip(scenes, layouts, strict=True)], vae, tokenizers)
