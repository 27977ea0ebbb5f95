"""The judge's training: half an hour on two cores, the same weights from the same seed and machine."""

import math

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from scenes.autoencoder import to_pixels
from scenes.judge.network import THING_NAMES, Judge
from scenes.judge.pictures import Lesson, lesson

BATCH, WEIGHT_DECAY = 64, 1e-2
#: Of a new judge, and of one that goes on learning.
PEAK_LEARNING_RATE, GOING_ON = 4e-3, 2e-3
#: Pictures a lesson, lessons kept at a time, and steps after which the oldest gives way to a new one.
LESSON, KEPT, STEPS_PER_LESSON = 2048, 6, 100
#: Gain and offset of a picture's colours vary by this much: painted colours are a little off.
GAIN, OFFSET = 0.08, 0.04


def train(steps: int, vae: AutoencoderKL, judge: Judge | None = None, seen: int = 0) -> Judge:
    """A judge trained for `steps` steps of `BATCH` pictures.

    Args:
        judge: one to go on with, which has seen the lessons of `seen` steps; a new one where it is None.
    """
    torch.manual_seed(seen)
    peak = GOING_ON if judge else PEAK_LEARNING_RATE
    judge = (judge or Judge()).train()
    judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's types
    optimizer = torch.optim.AdamW(judge.parameters(), peak, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    kept: list[Lesson] = []
    progress = tqdm(range(steps), desc="judge", mininterval=10)
    for step in progress:
        if step % STEPS_PER_LESSON == 0:
            kept = [*kept, lesson((seen + step) // STEPS_PER_LESSON, LESSON, vae)][-KEPT:]
        batch = kept[int(torch.randint(len(kept), ()))][torch.randint(LESSON, (BATCH,))]
        pictures, regions = augmented(batch)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(judge, pictures, regions, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(judge.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            progress.set_postfix(loss=f"{loss.item():.3f}")
    return judge.eval()


def augmented(batch: Lesson) -> tuple[Tensor, Tensor]:
    """A batch's pictures in -1..1 and their regions: half of them mirrored, colours a little off."""
    pictures, regions = to_pixels(batch.images.numpy()), batch.regions.long()
    mirrored = torch.rand(len(batch)) < 0.5
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(-1), pictures)
    regions = torch.where(mirrored[:, None, None], regions.flip(-1), regions)
    gain, offset = (1 - 2 * torch.rand(2, len(batch), 1, 1, 1)) * torch.tensor([GAIN, OFFSET]).view(2, 1, 1, 1, 1)
    return (pictures * (1 + gain) + offset).contiguous(memory_format=torch.channels_last), regions


def loss_of(judge: Judge, pictures: Tensor, regions: Tensor, batch: Lesson) -> Tensor:
    """The sum of the heads' losses; each thing's tint is read where the thing is."""
    answers = judge(pictures)
    where, which = (batch.tints >= 0).nonzero(as_tuple=True)
    within = torch.zeros(len(where), *regions.shape[1:])
    for index, (picture, thing) in enumerate(zip(where, which, strict=True)):
        within[index] = regions[picture] == thing + 1
    tints = functional.avg_pool2d(within[:, None], 2)
    weight = tints / tints.sum((2, 3), keepdim=True).clamp(min=1e-6)
    tint = (answers.tints.float()[where] * weight).sum((2, 3))
    return (
        functional.cross_entropy(answers.regions.float(), regions) * 2
        + functional.binary_cross_entropy_with_logits(answers.things.float(), batch.things.float())
        * len(THING_NAMES)
        / 4
        + functional.cross_entropy(answers.place.float(), batch.place)
        + functional.cross_entropy(answers.style.float(), batch.style)
        + functional.cross_entropy(tint, batch.tints[where, which])
    )
