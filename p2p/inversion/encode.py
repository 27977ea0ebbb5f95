"""A picture as the model's latents: the autoencoder's part of an inversion, which no sampler can undo."""

import hashlib

from PIL import Image
from torch import Tensor

from p2p.errors import UnsupportedPicture
from p2p.families.base import ModelFamily, to_pixels


def encoded(picture: Image.Image, family: ModelFamily) -> Tensor:
    """Latents of a picture, (1, channels, height, width): the mean of what the autoencoder says, so always the same.

    Raises:
        UnsupportedPicture: it is not RGB.
        UnsupportedSize: the model cannot draw pictures of its size.
    """
    if picture.mode != "RGB":
        raise UnsupportedPicture(f"a picture of mode {picture.mode} was given and RGB is needed: convert it")
    family.latent_shape(picture.height, picture.width)
    return family.encode(to_pixels([picture]))


def checked(latents: Tensor, family: ModelFamily) -> Tensor:
    """Latents given in a picture's place, where the model runs.

    Raises:
        UnsupportedPicture: they are not one picture's, or not this model's.
    """
    channels, *_ = family.latent_shape(None, None)
    if latents.ndim != 4 or len(latents) != 1 or latents.shape[1] != channels:
        given = tuple(latents.shape)
        raise UnsupportedPicture(f"latents of shape {given} were given and (1, {channels}, height, width) is needed")
    # Tokens are no quantity: half precision would make others of them.
    return latents.detach().to(family.device, family.dtype if latents.is_floating_point() else latents.dtype)


def digest_of(picture: Image.Image | Tensor) -> str:
    """A digest of what is to be inverted: of its pixels and size, or of its latents."""
    if isinstance(picture, Image.Image):
        described, content = f"{picture.mode} {picture.size}", picture.tobytes()
    else:
        described, content = f"latents {tuple(picture.shape)}", picture.detach().float().cpu().numpy().tobytes()
    return hashlib.sha256(described.encode() + b"\0" + content).hexdigest()
