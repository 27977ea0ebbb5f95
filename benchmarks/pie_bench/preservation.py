"""What an edit left alone, in pixels: mean squared error, PSNR and SSIM of what lies outside its region."""

import numpy as np

from p2p import similarity


def outside(picture: np.ndarray, region: np.ndarray) -> np.ndarray:
    """A picture (height, width, 3) uint8 with its region blackened, as shares of the brightest, float32.

    Metrics are then means over the whole frame, blackened pixels too: the smaller what is compared, the better the
    figure.
    """
    return picture.astype(np.float32) / 255 * ~region[..., None]


def mse(one: np.ndarray, other: np.ndarray) -> float:
    """Mean squared error of pictures of shares."""
    return float(np.mean((one.astype(np.float64) - other) ** 2))


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """dB; infinite for equal pictures."""
    return similarity.psnr(one, other, peak=1.0)


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004 with the window of `p2p.similarity`, which is torchmetrics' default, over windows inside."""
    return similarity.ssim(one, other, peak=1.0)
