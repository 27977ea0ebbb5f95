"""How alike two pictures are, in the field's two figures.

Pictures are (height, width) or (height, width, channels) arrays of one shape, on a scale from 0 to `peak`: 255 for the
levels of 8-bit pictures, 1 for shares.
"""

import math

import numpy as np

#: Wang et al. 2004, section III-B: an 11x11 Gaussian window of deviation 1.5, and the constants C1 and C2's roots as
#: shares of the peak.
WINDOW, DEVIATION = 11, 1.5
K1, K2 = 0.01, 0.03


def psnr(one: np.ndarray, other: np.ndarray, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB, over all pixels and channels; infinite for equal pictures."""
    _check(one, other)
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def ssim(one: np.ndarray, other: np.ndarray, peak: float = 255.0) -> float:
    """Structural similarity (Wang et al. 2004): its mean over the windows that lie inside the picture, and channels.

    1 for equal pictures. Statistics weigh by the window's Gaussian, without the correction for a sample's size.

    Raises:
        ValueError: the shapes differ, or a side is smaller than the window.
    """
    _check(one, other)
    if min(one.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs {WINDOW} pixels a side, and the pictures are {one.shape[:2]}")
    x, y = one.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _windowed(x), _windowed(y)
    # A variance that rounding made negative would leave the range of the measure.
    var_x = np.maximum(_windowed(x * x) - mean_x**2, 0)
    var_y = np.maximum(_windowed(y * y) - mean_y**2, 0)
    covariance = _windowed(x * y) - mean_x * mean_y
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def window() -> np.ndarray:
    """The Gaussian along one axis, (11,), summing to one."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2 * DEVIATION**2))
    return weights / weights.sum()


def _windowed(values: np.ndarray) -> np.ndarray:
    """The weighted mean of every window that lies inside, along height and width."""
    for axis in (0, 1):
        values = np.lib.stride_tricks.sliding_window_view(values, WINDOW, axis=axis) @ window()
    return values


def _check(one: np.ndarray, other: np.ndarray) -> None:
    if one.shape != other.shape:
        raise ValueError(f"pictures of one shape are needed, and these are {one.shape} and {other.shape}")
