"""Masked-token training of the transformer and its text encoder.

A share of a picture's tokens is masked, by aMUSEd's cosine schedule, and the network says what they were. As in the
painter of `scenes`, a noun's cross-attention is asked to lie on its thing (`scenes.attention_terms`), and each word
has to speak for itself (`scenes.words_apart`).
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers import UVit2DModel, VQModel
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from scenes import checkpoint
from scenes.attention_terms import CatchAttention, attention_missing, attention_outside
from scenes.tokens import transformer
from scenes.tokens.budget import Budget, learning_rate
from scenes.tokens.compiled import compiled
from scenes.tokens.drawing import Drawing, Pictures
from scenes.tokens.examples import Examples
from scenes.tokens.log import Log

#: Scenes of a step, and the learning rate for so many: for 32 times as many it is less than twice as high.
BATCH = {"cpu": 16, "cuda": 512}
PEAK_LEARNING_RATE = {"cpu": 1.5e-3, "cuda": 2.5e-3}
WARM_UP = {"cpu": 80, "cuda": 300}
#: The text encoder's share of the learning rate: it starts trained.
TEXT_RATE = 0.3
#: Captions dropped, so that the empty prompt is learnt and guidance has something to push away from.
DROPPED = 0.1
ATTENTION_WEIGHT = 0.2
#: With a larger share of its tokens masked, a picture does not say yet where its things are.
ATTENTION_BELOW = 0.95
EMA_DECAY = 0.998
#: A loss above this is not the loss of a training that works: one that knows nothing has log(1024) = 6.9.
DIVERGED_ABOVE = 8.0
#: Steps between two lines of the log, and between two looks for newly drawn shards.
LOG_EVERY, TAKE_EVERY = 50, 10
SAVE_SECONDS = 60
#: Shares of masked tokens at which held-out scenes are measured, and scenes at a time.
HELD_OUT_SHARES, HELD_OUT_CHUNK = (1.0, 0.7, 0.3), 64


class Diverged(RuntimeError):
    """The loss grew beyond all measure; the checkpoint is from before."""


def masked_at_random(share: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Which tokens are masked, (n, 16, 16) bool: of each picture a share (n,), at least one."""
    draws = torch.rand(len(share), transformer.SIDE**2, generator=generator).to(share.device)
    order = draws.argsort(1).argsort(1)
    count = (share * order.shape[1]).round().clamp(min=1)
    return (order < count[:, None]).unflatten(1, (transformer.SIDE, transformer.SIDE))


def cross_entropy(logits: torch.Tensor, grids: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
    """The mean over the masked tokens, in nats; (n, CODEBOOK, 16, 16) logits."""
    return functional.cross_entropy(logits.float(), torch.where(masked, grids, -100))


@torch.no_grad()
def held_out_loss(
    network: UVit2DModel, text_encoder: CLIPTextModelWithProjection, examples: Examples
) -> dict[str, float]:
    """By the share of masked tokens, as the pipeline reads captions: each as a whole."""
    losses: dict[str, float] = {}
    device = examples.grids.device
    for share in HELD_OUT_SHARES:
        generator, parts = torch.Generator().manual_seed(0), []
        for start in range(0, len(examples), HELD_OUT_CHUNK):
            batch = examples[slice(start, start + HELD_OUT_CHUNK)]
            masked = masked_at_random(torch.full((len(batch),), share, device=device), generator)
            with torch.autocast(device.type, torch.bfloat16):
                words, pooled = transformer.read(text_encoder, batch.words)
                logits = network(torch.where(masked, transformer.MASKED, batch.grids), words, pooled, _micro(batch))
            parts.append(cross_entropy(logits, batch.grids, masked).item())
        losses[str(share)] = round(sum(parts) / len(parts), 3)
    return losses


def train(
    folder: Path,
    examples: Examples,
    drawing: Drawing,
    held_out: Pictures,
    autoencoder: VQModel,
    tokenizer: CLIPTokenizer,
    budget: Budget,
    device: torch.device,
    *,
    batch_size: int | None = None,
    text_from: Path | None = None,
    use_compiled: bool = False,
    rate: float = 1.0,
    look: Callable[[int], None] = lambda samples: None,
) -> None:
    """Trains until the budget is used up, from the checkpoint in `folder` where there is one.

    Leaves the averaged weights in `folder/transformer` and `folder/text_encoder`, and calls `look(samples_seen)` after
    they were written, about once a minute and at the end.

    Args:
        examples: to begin with; further shards are taken from `drawing` as they become ready.
        held_out: pictures that are asked about, and not trained on.
        batch_size: scenes of a step; the device's `BATCH` where it is None.
        text_from: a folder of a text encoder to start from where there is no checkpoint.
        rate: of the learning rate; less than 1 after a training that diverged.

    Raises:
        Diverged: the loss is not a number, or higher than that of a network that knows nothing.
    """
    asked, batch_size = Examples.of(held_out, autoencoder), batch_size or BATCH[device.type]
    training = _Training(folder, asked, tokenizer, budget, device, batch_size, text_from, rate)
    training.prepare(examples, use_compiled)
    saved = time.monotonic()
    while (used := budget.share(training.step)) < 1:
        if training.step % TAKE_EVERY == 0 and drawing.ready:
            examples = Examples.together([examples, Examples.of(drawing.next(), autoencoder)])
        peak = PEAK_LEARNING_RATE[device.type] * learning_rate(used, training.step, WARM_UP[device.type])
        terms = training.learn(examples, peak)
        is_old = time.monotonic() - saved >= SAVE_SECONDS
        if training.step % LOG_EVERY == 0 or is_old:
            training.note(terms, peak, len(examples))
        if is_old:
            training.save(look)
            saved = time.monotonic()
    training.save(look)


class _Training:
    """What is trained, from the checkpoint in a folder where there is one.

    Attributes:
        step, samples: steps and scenes that the weights have seen.
    """

    def __init__(
        self,
        folder: Path,
        asked: Examples,
        tokenizer: CLIPTokenizer,
        budget: Budget,
        device: torch.device,
        batch_size: int,
        text_from: Path | None,
        rate: float,
    ) -> None:
        torch.manual_seed(0)
        self._network, self._text_encoder = transformer.build(tokenizer)
        self._folder, self._path, self._log = folder, folder / "transformer.pt", Log(folder, "transformer")
        self._asked, self._budget, self._device, self._batch_size = asked, budget, device, batch_size
        state = checkpoint.load(self._path)
        if text_from and not state:
            self._log(text_tensors_taken_over=transformer.warm_start(self._text_encoder, text_from))
        self._network.to(device)
        self._text_encoder.to(device)
        self._apart = transformer.CaptionsApart(self._text_encoder, tokenizer, device)
        self._caught: list[torch.Tensor] = []
        self._network.set_attn_processor(
            {
                site: CatchAttention(self._caught) if transformer.looks_at_text(site) else processor
                for site, processor in self._network.attn_processors.items()
            }
        )
        network, words = list(self._network.parameters()), list(self._text_encoder.parameters())
        self._parameters, shares = [*network, *words], (rate, rate * TEXT_RATE)
        groups = [{"params": part, "share": share} for part, share in zip((network, words), shares, strict=True)]
        self._optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        self._ema = checkpoint.Ema(self._parameters, EMA_DECAY)
        self.step, self.samples = 0, 0
        if state:
            self._go_on(state, shares)
        self._empty = torch.tensor(tokenizer("", padding="max_length").input_ids, device=device)

    def _go_on(self, state: dict, shares: Sequence[float]) -> None:
        self.step, self.samples = state["step"], state["samples"]
        self._budget.go_on(state["spent"])
        self._network.load_state_dict(state["network"])
        self._text_encoder.load_state_dict(state["text_encoder"])
        self._optimizer.load_state_dict(state["optimizer"])
        for group, share in zip(self._optimizer.param_groups, shares, strict=True):
            group["share"] = share  # the checkpoint's may be of before it diverged
        self._ema.averages = [average.to(self._device) for average in state["ema"]]

    def prepare(self, examples: Examples, use_compiled: bool) -> None:
        """Compiles the network, if that is asked for and right and faster."""

        def painted(network: torch.nn.Module) -> list[torch.Tensor]:
            return list(self._painted(network, examples, seed=2**31))

        self._forward: torch.nn.Module = self._network
        if use_compiled:
            self._forward = compiled(self._network, painted, self._log)
        self._caught.clear()
        self._text_encoder.zero_grad()

    def _painted(self, forward: torch.nn.Module, examples: Examples, seed: int) -> tuple[torch.Tensor, ...]:
        """The loss of a batch that a seed draws, and its two attention terms."""
        device, size = self._device, self._batch_size
        generator = torch.Generator().manual_seed(seed)
        batch = examples[torch.randint(0, len(examples), (size,), generator=generator).to(device)]
        dropped = (torch.rand(size, generator=generator) < DROPPED).to(device)
        share = torch.cos(torch.rand(size, generator=generator).to(device) * math.pi / 2)
        masked = masked_at_random(share, generator)
        words = torch.where(dropped[:, None], self._empty, batch.words)
        self._caught.clear()
        with torch.autocast(device.type, torch.bfloat16):
            embeddings, pooled = self._apart(words, generator), self._apart.pooled(words, generator)
            grids = torch.where(masked, transformer.MASKED, batch.grids)
            logits = forward(grids, embeddings, pooled, _micro(batch))
        unclear = dropped | (share > ATTENTION_BELOW)
        named = torch.where(unclear[:, None], -1, batch.named)
        outside = attention_outside(self._caught, named, batch.cells)
        missing = attention_missing(self._caught, named, batch.cells)
        return cross_entropy(logits, batch.grids, masked), outside, missing

    def learn(self, examples: Examples, peak: float) -> tuple[torch.Tensor, ...]:
        """One step, at a learning rate of which each group has its share; gives the terms of its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = peak * group["share"]
        loss, outside, missing = self._painted(self._forward, examples, self.step)
        self._optimizer.zero_grad()
        (loss + ATTENTION_WEIGHT * (outside + missing)).backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._ema.update(self.step)
        self.step, self.samples = self.step + 1, self.samples + self._batch_size
        return loss, outside, missing

    def note(self, terms: Sequence[torch.Tensor], rate: float, scenes: int) -> None:
        """Writes a line of the log; raises `Diverged`."""
        loss, outside, missing = (term.item() for term in terms)
        if not loss < DIVERGED_ABOVE:
            raise Diverged(f"the loss is {loss:.2f} after {self.step} steps at a learning rate of {rate:.1e}")
        counts = {"step": self.step, "samples": self.samples, "scenes": scenes}
        self._log(**counts, loss=loss, outside=outside, missing=missing, rate=rate, seconds=self._budget.spent)

    def save(self, look: Callable[[int], None]) -> None:
        """Writes the checkpoint and the averaged weights as a model, and has it looked at."""
        weights = {"network": self._network.state_dict(), "text_encoder": self._text_encoder.state_dict()}
        counts = {"step": self.step, "samples": self.samples, "spent": self._budget.spent}
        rest = {"ema": self._ema.averages, "optimizer": self._optimizer.state_dict()}
        checkpoint.save(self._path, counts | weights | rest)
        self._ema.applied(self._export)
        look(self.samples)

    def _export(self) -> None:
        held_out = held_out_loss(self._network, self._text_encoder, self._asked)
        self._log(step=self.step, samples=self.samples, held_out=held_out, seconds=self._budget.spent)
        self._network.save_pretrained(self._folder / "transformer")
        self._text_encoder.save_pretrained(self._folder / "text_encoder")


def _micro(batch: Examples) -> torch.Tensor:
    return torch.tensor([transformer.MICRO_CONDITIONS], device=batch.grids.device).expand(len(batch), -1)
