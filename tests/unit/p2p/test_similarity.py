"""PSNR and SSIM against facts that can be worked out by hand."""

import math

import numpy as np
import pytest

from p2p.similarity import psnr, ssim, window

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (24, 20, 3)).astype(np.uint8)


def test_equal_pictures_are_infinitely_near_and_wholly_similar():
    assert psnr(PICTURE, PICTURE) == math.inf
    assert ssim(PICTURE, PICTURE) == pytest.approx(1, abs=1e-12)  # float64 rounding


def test_one_level_apart_everywhere_is_48_13_db():
    """20 log10(255); 8-bit levels must not wrap around on the way."""
    one = np.full((16, 16), 10, np.uint8)

    assert psnr(one, one + np.uint8(1)) == pytest.approx(20 * math.log10(255))
    assert psnr(one + np.uint8(1), one) == pytest.approx(20 * math.log10(255))


def test_the_scale_of_the_peak_does_not_matter():
    other = np.clip(PICTURE.astype(int) + RNG.integers(-20, 20, PICTURE.shape), 0, 255)

    assert psnr(PICTURE / 255, other / 255, peak=1) == pytest.approx(psnr(PICTURE, other))
    assert ssim(PICTURE / 255, other / 255, peak=1) == pytest.approx(ssim(PICTURE, other))


def test_flat_pictures_differ_in_luminance_alone():
    """No variance: what is left is (2xy + C1) / (x² + y² + C1) with C1 = (0.01 * 255)²."""
    dark, bright, c1 = 50.0, 100.0, 2.55**2

    expected = (2 * dark * bright + c1) / (dark**2 + bright**2 + c1)
    assert ssim(np.full((16, 16), dark), np.full((16, 16), bright)) == pytest.approx(expected)


def test_a_contrast_turned_around_is_negative_where_the_mean_stays():
    """y = 2m - x has x's variance and its negative as the covariance: (C2 - 2v) / (C2 + 2v), window by window."""
    checks = 100.0 + 50 * ((np.indices((16, 16)).sum(0) % 2) * 2 - 1)
    weights = np.outer(window(), window())
    block, c1, c2 = checks[:11, :11], 2.55**2, (0.03 * 255) ** 2
    mean = (weights * block).sum()
    variance = (weights * block**2).sum() - mean**2
    luminance = (2 * mean * (200 - mean) + c1) / (mean**2 + (200 - mean) ** 2 + c1)

    # Every window is this one or its negative, which changes places with the other picture's: all alike.
    assert ssim(checks, 200 - checks) == pytest.approx(luminance * (c2 - 2 * variance) / (c2 + 2 * variance))


def test_the_window_is_the_papers():
    """11 wide, deviation 1.5: neighbours of the middle weigh exp(-1 / (2 * 1.5²)) of it, and all sum to one."""
    weights = window()

    assert len(weights) == 11
    assert weights.sum() == pytest.approx(1)
    assert weights[6] / weights[5] == pytest.approx(math.exp(-1 / 4.5))


def test_channels_count_alike():
    grey, other = PICTURE[..., 0], PICTURE[..., 1]
    one, two = np.stack([grey, grey], -1), np.stack([grey, other], -1)

    assert ssim(one, two) == pytest.approx((1 + ssim(grey, other)) / 2)


def test_a_shift_that_psnr_minds_little_is_minded_by_similarity():
    brighter = np.clip(PICTURE.astype(int) + 20, 0, 255)
    noisy = np.clip(PICTURE.astype(int) + 20 * RNG.choice([-1, 1], PICTURE.shape), 0, 255)

    assert ssim(PICTURE, brighter) > ssim(PICTURE, noisy)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_pictures_of_different_shapes_are_refused(measure):
    with pytest.raises(ValueError, match="one shape"):
        measure(PICTURE, PICTURE[:, :-1])


def test_a_picture_smaller_than_the_window_has_no_similarity():
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(PICTURE[:10], PICTURE[:10])
