"""Masked-token training of the transformer and its text encoder.

A share of a picture's tokens is masked, by aMUSEd's cosine schedule, and the network says what they were. As in the
painter of `scenes`, a noun's cross-attention is asked to lie on its thing (`scenes.attention_terms`), and each word
has to speak for itself (`scenes.words_apart`).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UVit2DModel, VQModel
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from scenes import checkpoint
from scenes.attention_terms import CatchAttention, attention_missing, attention_outside
from scenes.tokens import transformer, vq
from scenes.tokens.budget import Budget, learning_rate
from scenes.tokens.compiled import compiled
from scenes.tokens.drawing import Drawing, Pictures
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


@dataclass
class Examples:
    """Pictures as tokens, on the device they are trained on.

    Attributes:
        grids: (n, 16, 16) int16, image tokens.
        words, named, cells: as in `Pictures`.
    """

    grids: torch.Tensor
    words: torch.Tensor
    named: torch.Tensor
    cells: torch.Tensor

    def __len__(self) -> int:
        return len(self.grids)

    @classmethod
    def of(cls, pictures: Pictures, autoencoder: VQModel) -> "Examples":
        on = autoencoder.device
        return cls(
            vq.encode(autoencoder, pictures.images),
            pictures.words.to(on),
            pictures.named.to(on),
            pictures.cells.to(on),
        )

    @classmethod
    def together(cls, parts: Sequence["Examples"]) -> "Examples":
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__annotations__))

    def __getitem__(self, chosen: torch.Tensor | slice) -> "Examples":
        return Examples(
            self.grids[chosen].long(), self.words[chosen].long(), self.named[chosen].long(), self.cells[chosen]
        )


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
    torch.manual_seed(0)
    network, text_encoder = transformer.build(tokenizer)
    path, log = folder / "transformer.pt", Log(folder, "transformer")
    state = checkpoint.load(path)
    if text_from and not state:
        log(text_tensors_taken_over=transformer.warm_start(text_encoder, text_from))
    network.to(device)
    text_encoder.to(device)
    apart = transformer.CaptionsApart(text_encoder, tokenizer, device)
    caught: list[torch.Tensor] = []
    network.set_attn_processor(
        {
            site: CatchAttention(caught) if transformer.looks_at_text(site) else processor
            for site, processor in network.attn_processors.items()
        }
    )
    parameters = [*network.parameters(), *text_encoder.parameters()]
    groups = [
        {"params": list(network.parameters()), "share": rate},
        {"params": list(text_encoder.parameters()), "share": rate * TEXT_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    ema = checkpoint.Ema(parameters, EMA_DECAY)
    batch_size, step, samples = batch_size or BATCH[device.type], 0, 0
    if state:
        step, samples = state["step"], state["samples"]
        budget.go_on(state["spent"])
        network.load_state_dict(state["network"])
        text_encoder.load_state_dict(state["text_encoder"])
        optimizer.load_state_dict(state["optimizer"])
        for group, share in zip(optimizer.param_groups, (rate, rate * TEXT_RATE), strict=True):
            group["share"] = share  # the checkpoint's may be of before it diverged
        ema.averages = [average.to(device) for average in state["ema"]]
    empty = torch.tensor(tokenizer("", padding="max_length").input_ids, device=device)
    asked = Examples.of(held_out, autoencoder)

    def painted(forward: torch.nn.Module, seed: int) -> tuple[torch.Tensor, ...]:
        """The loss of a step's batch, and its two attention terms."""
        generator = torch.Generator().manual_seed(seed)
        batch = examples[torch.randint(0, len(examples), (batch_size,), generator=generator).to(device)]
        dropped = (torch.rand(batch_size, generator=generator) < DROPPED).to(device)
        share = torch.cos(torch.rand(batch_size, generator=generator).to(device) * math.pi / 2)
        masked = masked_at_random(share, generator)
        words = torch.where(dropped[:, None], empty, batch.words)
        caught.clear()
        with torch.autocast(device.type, torch.bfloat16):
            embeddings, pooled = apart(words, generator), apart.pooled(words, generator)
            grids = torch.where(masked, transformer.MASKED, batch.grids)
            logits = forward(grids, embeddings, pooled, _micro(batch))
        unclear = dropped | (share > ATTENTION_BELOW)
        named = torch.where(unclear[:, None], -1, batch.named)
        outside = attention_outside(caught, named, batch.cells)
        missing = attention_missing(caught, named, batch.cells)
        return cross_entropy(logits, batch.grids, masked), outside, missing

    forward = compiled(network, lambda net: list(painted(net, seed=2**31)), log) if use_compiled else network
    caught.clear()
    text_encoder.zero_grad()

    def export() -> None:
        log(step=step, samples=samples, held_out=held_out_loss(network, text_encoder, asked), seconds=budget.spent)
        network.save_pretrained(folder / "transformer")
        text_encoder.save_pretrained(folder / "text_encoder")

    def save() -> None:
        weights = {"network": network.state_dict(), "text_encoder": text_encoder.state_dict(), "ema": ema.averages}
        counts = {"step": step, "samples": samples, "spent": budget.spent}
        checkpoint.save(path, counts | weights | {"optimizer": optimizer.state_dict()})
        ema.applied(export)
        look(samples)

    saved = time.monotonic()
    while (used := budget.share(step)) < 1:
        if step % TAKE_EVERY == 0 and drawing.ready:
            examples = Examples.together([examples, Examples.of(drawing.next(), autoencoder)])
        peak = PEAK_LEARNING_RATE[device.type] * learning_rate(used, step, WARM_UP[device.type])
        for group in optimizer.param_groups:
            group["lr"] = peak * group["share"]
        loss, outside, missing = painted(forward, step)
        optimizer.zero_grad()
        (loss + ATTENTION_WEIGHT * (outside + missing)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        ema.update(step)
        step, samples = step + 1, samples + batch_size
        if step % LOG_EVERY == 0 or time.monotonic() - saved >= SAVE_SECONDS:
            if not loss.item() < DIVERGED_ABOVE:
                raise Diverged(f"the loss is {loss.item():.2f} after {step} steps at a learning rate of {peak:.1e}")
            log(
                step=step,
                samples=samples,
                scenes=len(examples),
                loss=loss.item(),
                outside=outside.item(),
                missing=missing.item(),
                rate=peak,
                seconds=budget.spent,
            )
        if time.monotonic() - saved >= SAVE_SECONDS:
            save()
            saved = time.monotonic()
    save()


def _micro(batch: Examples) -> torch.Tensor:
    return torch.tensor([transformer.MICRO_CONDITIONS], device=batch.grids.device).expand(len(batch), -1)
