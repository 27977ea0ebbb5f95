"""Records of inversions that are kept, where what they hold does not matter."""

from datetime import UTC, datetime, timedelta

from jobs.inversions import KeptInversion
from jobs.model import ANYBODY, Reconstruction


def kept_inversion(name: str, image: str, *, owner: str = ANYBODY) -> KeptInversion:
    """One of a picture, by an id that is also its source's digest; it is kept for an hour."""
    now = datetime.now(UTC)
    return KeptInversion(
        id=name,
        owner=owner,
        source=name,
        image=image,
        model="tiny",
        prompt="a cat",
        method="direct",
        steps=3,
        reconstruction=Reconstruction(psnr=30, ssim=0.9, autoencoder_psnr=30, autoencoder_ssim=0.9, inversion="made"),
        unet_evaluations=6,
        bytes=9,
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
