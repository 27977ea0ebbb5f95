"""How faithful an inversion is: what to know before its edits are judged."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional

from p2p.families.base import ModelFamily, to_images
from p2p.inversion import InversionResult
from p2p.similarity import psnr, ssim


@dataclass(frozen=True, eq=False, kw_only=True)
class Fidelity:
    """A picture, what the autoencoder alone makes of it, and what the inverted source is.

    No inversion comes nearer than the autoencoder does.

    Attributes:
        reconstruction, autoencoder: the pictures.
        psnr, ssim: of the reconstruction against the picture.
        autoencoder_psnr, autoencoder_ssim: of the autoencoder's against the picture.
    """

    reconstruction: Image.Image
    autoencoder: Image.Image
    psnr: float
    ssim: float
    autoencoder_psnr: float
    autoencoder_ssim: float


def fidelity(picture: Image.Image, result: InversionResult, family: ModelFamily) -> Fidelity:
    """The fidelity of a picture's inversion."""
    # One after the other: beside another picture the decoder's kernels may round otherwise.
    autoencoder, reconstruction = (
        _pictured(latents, (picture.height, picture.width), family)
        for latents in (result.latents, result.trajectory.latents[-1:])
    )
    wanted, by_autoencoder, by_inversion = (np.asarray(image) for image in (picture, autoencoder, reconstruction))
    return Fidelity(
        reconstruction=reconstruction,
        autoencoder=autoencoder,
        psnr=psnr(wanted, by_inversion),
        ssim=ssim(wanted, by_inversion),
        autoencoder_psnr=psnr(wanted, by_autoencoder),
        autoencoder_ssim=ssim(wanted, by_autoencoder),
    )


def _pictured(latents: Tensor, size: tuple[int, int], family: ModelFamily) -> Image.Image:
    """The picture that latents decode to. What further networks add when they make it larger is left out."""
    pixels = family.decode(latents)
    if tuple(pixels.shape[-2:]) != size:
        pixels = functional.interpolate(pixels, size, mode="bilinear", align_corners=False)
    return to_images(pixels)[0]
