"""The autoencoder of discrete tokens: a 64x64 picture to 16x16 tokens of 1024, and back.

Encoder and decoder start as those of the built-in model `scenes`, whose latents have the same size, and the codebook
by k-means of its latents: 26 dB before the first step of training.
"""

import math
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, VQModel
from torch.nn import functional

from scenes import checkpoint
from scenes.autoencoder import THING_WEIGHT, reconstruction_loss
from scenes.dataset import FACTOR
from scenes.render import SIZE
from scenes.tokens.budget import Budget, learning_rate
from scenes.tokens.drawing import Pictures
from scenes.tokens.log import Log

CODEBOOK, CHANNELS = 1024, 8
#: Pictures of a step.
BATCH = {"cpu": 16, "cuda": 128}
PEAK_LEARNING_RATE, WARM_UP = 1e-3, 50
#: How much the distance between latents and their codebook entries weighs beside the picture's error.
QUANTIZATION_WEIGHT = 0.25
#: Entries that no latent chose for so many steps take the place of latents, up to this share of the training.
STEPS_UNUSED, RENEWED_UNTIL = 200, 0.6
#: Pictures and passes of the k-means.
KMEANS_PICTURES, KMEANS_PASSES, KMEANS_SAMPLE = 768, 14, 60_000
#: Pictures encoded at a time: their distances to the codebook take a megabyte each.
CHUNK = 256
SAVE_SECONDS = 60


def build() -> VQModel:
    """An untrained one; `AmusedPipeline` wants the latents' channels and the codebook's to be the same."""
    return VQModel(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        latent_channels=CHANNELS,
        vq_embed_dim=CHANNELS,
        num_vq_embeddings=CODEBOOK,
        norm_num_groups=8,
        sample_size=SIZE,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
        force_upcast=False,
    )


def warm_start(vq: VQModel, vae: AutoencoderKL) -> None:
    """Makes `vq` encode to the mean that `vae` encodes to, and decode like it; the codebook is left as it is.

    The pictures of `AmusedPipeline` are 0..1, those of `vae` -1..1: that is folded into the first and the last
    convolution. Beside the picture's border the first one then sees other zeros, which training mends.
    """
    state, weights = vq.state_dict(), vae.state_dict()
    state |= {name: w for name, w in weights.items() if name.startswith(("encoder.", "decoder.")) and name in state}
    # quant_conv gives the mean and, after it, the deviation, which a VQ does not have.
    to_mean, shift = weights["quant_conv.weight"][:CHANNELS, :, 0, 0], weights["quant_conv.bias"][:CHANNELS]
    state["encoder.conv_out.weight"] = torch.einsum("oc,cikl->oikl", to_mean, weights["encoder.conv_out.weight"])
    state["encoder.conv_out.bias"] = to_mean @ weights["encoder.conv_out.bias"] + shift
    state["quant_conv.weight"] = torch.eye(CHANNELS)[..., None, None]
    state["quant_conv.bias"] = torch.zeros(CHANNELS)
    state |= {name: w for name, w in weights.items() if name.startswith("post_quant_conv.")}
    state["encoder.conv_in.bias"] = state["encoder.conv_in.bias"] - state["encoder.conv_in.weight"].sum((1, 2, 3))
    state["encoder.conv_in.weight"] = state["encoder.conv_in.weight"] * 2
    state["decoder.conv_out.weight"] = state["decoder.conv_out.weight"] / 2
    state["decoder.conv_out.bias"] = state["decoder.conv_out.bias"] / 2 + 0.5
    vq.load_state_dict(state)


def to_pixels(images: torch.Tensor) -> torch.Tensor:
    """uint8 (n, height, width, 3) to float (n, 3, height, width) in 0..1."""
    return images.permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def encode(vq: VQModel, images: torch.Tensor) -> torch.Tensor:
    """Tokens (n, 16, 16) int16 of uint8 pictures (n, 64, 64, 3), on the network's device."""
    grids = []
    for chunk in images.split(CHUNK):
        latents = vq.encode(to_pixels(chunk.to(vq.device))).latents
        grids.append(vq.quantize(latents)[2][2].reshape(len(chunk), *latents.shape[-2:]).to(torch.int16))
    return torch.cat(grids)


@torch.no_grad()
def decode(vq: VQModel, grids: torch.Tensor) -> torch.Tensor:
    """uint8 pictures (n, 64, 64, 3) of tokens (n, 16, 16)."""
    pictures = []
    for chunk in grids.split(CHUNK):
        shape = (*chunk.shape, CHANNELS)
        pixels = vq.decode(chunk.to(vq.device).long(), force_not_quantize=True, shape=shape).sample.clamp(0, 1)
        pictures.append((pixels.permute(0, 2, 3, 1) * 255).round().to(torch.uint8))
    return torch.cat(pictures)


@torch.no_grad()
def start_codebook(vq: VQModel, images: torch.Tensor, generator: torch.Generator) -> None:
    """The codebook by k-means of the pictures' latents; entries near no latent go to those farthest from any entry."""
    latents = torch.cat([vq.encode(to_pixels(chunk)).latents for chunk in images.split(CHUNK)])
    latents = latents.permute(0, 2, 3, 1).reshape(-1, CHANNELS)

    def some(count: int, of: int) -> torch.Tensor:
        return torch.randint(0, of, (count,), generator=generator).to(latents.device)

    entries = latents[some(CODEBOOK, len(latents))]
    for turn in range(KMEANS_PASSES):
        sample = latents[some(KMEANS_SAMPLE, len(latents))]
        nearest = torch.cdist(sample, entries)
        distance, chosen = nearest.min(1)
        count = torch.bincount(chosen, minlength=CODEBOOK)
        sums = torch.zeros_like(entries).index_add_(0, chosen, sample)
        entries = torch.where((count > 0)[:, None], sums / count.clamp(min=1)[:, None], entries)
        dead = (count < 2).nonzero().flatten()
        if turn < KMEANS_PASSES - 3 and len(dead):
            farthest = distance.topk(4 * len(dead)).indices
            entries[dead] = sample[farthest[some(len(dead), len(farthest))]]
    vq.quantize.embedding.weight.copy_(entries)


def psnr(vq: VQModel, pictures: Pictures) -> float:
    """Of the pictures' reconstructions from their tokens, in dB."""
    error = to_pixels(decode(vq, encode(vq, pictures.images)).cpu()) - to_pixels(pictures.images)
    return -10 * math.log10((error**2).mean().item())


def train(
    folder: Path, pictures: Pictures, held_out: Pictures, budget: Budget, device: torch.device, vae: AutoencoderKL
) -> VQModel:
    """Trains on `pictures`, from the checkpoint in `folder` where there is one, and leaves `folder/vqvae`.

    Nothing is trained where `folder/vqvae` is: what the transformer learnt are the tokens of that one.
    """
    if (folder / "vqvae").exists():
        return VQModel.from_pretrained(folder / "vqvae").to(device).eval()
    vq, log, path = build().to(device), Log(folder, "vq"), folder / "vq.pt"
    images, things = pictures.images.to(device), pictures.cells.any(1, keepdim=True).to(device)
    optimizer = torch.optim.AdamW(vq.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0, fused=True)
    step, used = 0, torch.zeros(CODEBOOK, dtype=torch.bool, device=device)
    if state := checkpoint.load(path):
        step, used = state["step"], state["used"].to(device)
        vq.load_state_dict(state["vq"])
        optimizer.load_state_dict(state["optimizer"])
        budget.go_on(state["spent"])
    else:
        warm_start(vq, vae)
        vq.to(device)
        start_codebook(vq, images[:KMEANS_PICTURES], torch.Generator().manual_seed(0))
        log(step=0, held_out_db=psnr(vq, held_out))
    saved, batch = time.monotonic(), BATCH[device.type]
    while (share := budget.share(step)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * learning_rate(share, step, WARM_UP)
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randint(0, len(images), (batch,), generator=generator).to(device)
        x = to_pixels(images[chosen]).contiguous(memory_format=torch.channels_last)
        weight = 1 + THING_WEIGHT * functional.interpolate(things[chosen].float(), scale_factor=FACTOR)
        with torch.autocast(device.type, torch.bfloat16):
            latents = vq.encode(x).latents
        quantized, distance, (_, _, ids) = vq.quantize(latents.float())
        with torch.autocast(device.type, torch.bfloat16):
            y = vq.decoder(vq.post_quant_conv(quantized))
        # The weights of the loss are those of pictures in -1..1.
        loss = reconstruction_loss(y.float() * 2, x * 2, weight / weight.mean()) + QUANTIZATION_WEIGHT * distance
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vq.parameters(), 1.0)
        optimizer.step()
        used[ids.flatten()] = True
        step += 1
        if step % STEPS_UNUSED == 0:
            if share < RENEWED_UNTIL:
                _renew(vq, latents.detach().float(), ~used, generator)
            log(step=step, pictures=step * batch, loss=loss.item(), entries_used=int(used.sum()), seconds=budget.spent)
            used.zero_()
        if time.monotonic() - saved >= SAVE_SECONDS:
            state = {"step": step, "spent": budget.spent, "vq": vq.state_dict(), "used": used}
            checkpoint.save(path, state | {"optimizer": optimizer.state_dict()})
            saved = time.monotonic()
    vq.eval()
    log(step=step, pictures=step * batch, held_out_db=psnr(vq, held_out), seconds=budget.spent)
    vq.save_pretrained(folder / "vqvae.partial")
    (folder / "vqvae.partial").rename(folder / "vqvae")
    return vq


@torch.no_grad()
def _renew(vq: VQModel, latents: torch.Tensor, unused: torch.Tensor, generator: torch.Generator) -> None:
    """Moves entries that no latent chooses to latents of the last batch."""
    vectors, where = latents.permute(0, 2, 3, 1).reshape(-1, CHANNELS), unused.nonzero().flatten()
    chosen = torch.randint(0, len(vectors), (len(where),), generator=generator)
    vq.quantize.embedding.weight[where] = vectors[chosen.to(vectors.device)]
