"""The autoencoder: 64x64 pictures to 16x16x8 latents and back."""

import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from tqdm import tqdm

from scenes import checkpoint
from scenes.render import SIZE, Layout, Slot, draw
from scenes.world import Scene, Thing, random_scene

BATCH = 16
PEAK_LEARNING_RATE = 2e-3
#: A thing's pixels weigh this much more than the background's, which is learnt first.
THING_WEIGHT = 3.0
#: Noise added to latents, whose deviation is near one, before decoding: the painter's latents are not exact either.
LATENT_NOISE = 0.05
SAVE_EVERY = 100


def build() -> AutoencoderKL:
    """An untrained autoencoder, factor 4, 8 channels."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=8,
        sample_size=SIZE,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def to_pixels(images: np.ndarray) -> torch.Tensor:
    """uint8 (n, height, width, 3) to float (n, 3, height, width) in -1..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def crowded(rng: np.random.Generator) -> tuple[Scene, Layout]:
    """A scene with four things: more of what is hard to paint in each picture than a caption could say."""
    scene = random_scene(rng)
    first, second = (Layout.drawn(int(rng.integers(2**31)), room=2) for _ in range(2))
    others = (t for _ in range(3) for t in random_scene(rng).things)
    things = tuple([*scene.things, *others][:4])
    things += (Thing("cat"),) * (4 - len(things))
    slots = [
        Slot(s.x, min(s.foot + lift, SIZE - 1), s.size, s.flip)
        for layout, lift in ((first, -24), (second, 14))
        for s in layout.slots
    ]
    return Scene(things, scene.place, scene.style), Layout(first.horizon, tuple(slots), first.grain)


def batch_at(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures of a step and the weight of their pixels: the same whenever training is resumed."""
    rng = np.random.default_rng([7, step])
    pictures = []
    for index in range(BATCH):
        scene, layout = crowded(rng)
        if index % 4 == 0:
            scene = random_scene(rng)
            layout = Layout.drawn(int(rng.integers(2**31)), room=len(scene.things))
        pictures.append(draw(scene, layout))
    things = np.stack([np.any(picture.masks, axis=0) for picture in pictures])
    weight = 1 + THING_WEIGHT * torch.from_numpy(things)[:, None].float()
    return to_pixels(np.stack([picture.image for picture in pictures])), weight / weight.mean()


def reconstruction_loss(y: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Absolute and squared error, and the error of the edges between neighbouring pixels."""
    edges = sum((torch.diff(y - x, dim=dim)).abs().mean() for dim in (2, 3))
    return ((y - x).abs() * weight).mean() + 0.5 * ((y - x) ** 2 * weight).mean() + 0.5 * edges


def train(folder: Path, steps: int, device: torch.device) -> None:
    """Trains up to `steps` steps of `BATCH` pictures, from the checkpoint in `folder` where there is one.

    Leaves the averaged weights in `folder/vae`.
    """
    vae = build().to(device, memory_format=torch.channels_last)
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0, fused=True)
    ema = checkpoint.Ema(parameters, decay=0.998)
    path, start = folder / "vae.pt", 0
    if state := checkpoint.load(path):
        start = state["step"]
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        ema.averages = [a.to(device) for a in state["ema"]]

    def save(step: int) -> None:
        state = {"step": step, "vae": vae.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema.averages}
        checkpoint.save(path, state)
        ema.applied(lambda: vae.save_pretrained(folder / "vae"))

    progress = tqdm(range(start, steps), initial=start, total=steps, desc="autoencoder", mininterval=10)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * min(1, step / 100) * 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-6
        x, weight = (t.to(device, memory_format=torch.channels_last) for t in batch_at(step))
        z = vae.encode(x).latent_dist.mean
        noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(step)).to(device)
        y = vae.decode(z + LATENT_NOISE * noise).sample
        # The small pull on the latents' size keeps LATENT_NOISE meaningful.
        loss = reconstruction_loss(y, x, weight) + 1e-3 * (z**2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        ema.update(step)
        if step % 50 == 0:
            mse = ((y.detach().clamp(-1, 1) - x) ** 2).mean().item()
            progress.set_postfix(psnr=f"{10 * math.log10(4 / mse):.2f}", size=f"{z.std().item():.2f}")
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            save(step + 1)
