"""What a run is heading for, while it is under way."""

import pytest
import torch

from p2p.edit import EditResult, edit, edit_again_steps, edit_steps
from p2p.previews import MAX_SIDE, preview, preview_steps
from p2p.samplers.gaussian import GaussianSampler
from p2p.samplers.signal import signal_at
from p2p.sampling import DenoisingStep
from p2p.schedulers import SCHEDULERS
from p2p.stepping import made_of
from tests.short_specs import BLEND, NO_MAPS, OFF, REFINE, SWAP, spec
from tests.stepping import run_through

pytestmark = pytest.mark.needs("latents")


def followed(steps) -> tuple[list, EditResult]:
    """The clean latents of every step, asked for before the next one, and the result."""
    clean, result = run_through(made_of(steps, lambda step: [step.clean()]))
    return clean, result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", ["ddim", "ddpm", "euler"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_clean_latents_are_what_the_scheduler_makes_of_the_prediction(name, prediction_type):
    """Of those schedulers that tell."""
    config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
    known = {key: value for key, value in config.items() if key != "clip_sample" or name.startswith("dd")}
    scheduler = SCHEDULERS[name].from_config({**known, "prediction_type": prediction_type})
    scheduler.set_timesteps(7)
    latents, prediction = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    sampler = GaussianSampler(scheduler, torch.device("cpu"), torch.float32)
    for index, timestep in enumerate(scheduler.timesteps):
        ours = sampler.clean(sampler.seen(latents, index), prediction, index)

        theirs = scheduler.step(prediction, timestep, latents).pred_original_sample
        # Euler reads the noise between two timesteps off a curve, we the signal: they differ in the fourth digit.
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_between_two_timesteps_the_signal_is_in_between():
    low, middle, high = (signal_at(SCHEDULERS["ddim"](), at) for at in (500.0, 500.5, 501.0))

    assert low > middle > high
    assert middle == pytest.approx((low + high) / 2)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_last_step_of_every_scheduler_points_at_the_picture(family, name):
    clean, result = followed(edit_steps(spec(SWAP, steps=8, sampling={"scheduler": name}, **NO_MAPS), family))

    far = [float((latents - result.latents).norm() / result.latents.norm()) for latents in clean]
    # PNDM's last steps mix the predictions of earlier ones, and an ancestral sampler adds noise to what it had.
    assert far[-1] < 0.15
    assert far[-1] < far[0] / 2


def test_clean_latents_are_blended_as_the_pictures_are(family):
    # Random attention is flat: a dog is nearly everywhere.
    sharp = {"local_blend": {"words": [{"word": "dog"}], "threshold": 0.97}}
    made = spec(SWAP | OFF | sharp, SWAP | OFF, steps=4, **NO_MAPS)
    outcomes = edit_steps(made, family)
    steps = [outcome for _, outcome in zip(range(4), outcomes, strict=False)]

    source, blended, plain = steps[-1].clean()

    same = (steps[-1].latents[1] == steps[-1].latents[0]).all(0)  # outside the dog
    assert 0 < same.sum() < same.numel()
    assert torch.equal(blended[:, same], source[:, same])
    assert not torch.equal(plain[:, same], source[:, same])


def test_of_a_kept_source_the_end_is_known(family):
    kept = edit(spec(REFINE), family, keep=True).trajectory
    fresh, _ = followed(edit_steps(spec(SWAP), family))

    clean, result = followed(edit_again_steps(spec(SWAP), family, kept))

    for again, once in zip(clean, fresh, strict=True):
        assert torch.equal(again[0], result.latents[0])
        # The parity bound of an edit of a kept source, of the latents' own size.
        assert (again[1] - once[1]).norm() <= 1e-4 * once[1].norm()


def test_a_preview_is_a_picture_of_each_row(family):
    step = next(iter(edit_steps(spec(SWAP, REFINE, **NO_MAPS), family)))

    assert [(picture.size, picture.mode) for picture in preview(step, family)] == [((32, 32), "RGB")] * 3


@pytest.mark.parametrize(("height", "width"), [(144, 144), (150, 80), (40, 300), (128, 128), (129, 60)])
def test_a_preview_is_no_larger_than_it_says_and_keeps_its_shape(family, height, width):
    latents = torch.zeros(1, 4, height, width)
    step = DenoisingStep(index=0, num_steps=1, latents=latents, clean=lambda: latents)

    (picture,) = preview(step, family)

    assert MAX_SIDE / 2 <= max(picture.size) <= MAX_SIDE
    # A pixel of latents, which is two of the picture, is lost at most.
    assert picture.width / picture.height == pytest.approx(width / height, rel=0.06)


def test_looking_ahead_changes_nothing(family):
    made = spec(BLEND, REFINE)

    _, result = followed(edit_steps(made, family))

    assert torch.equal(result.latents, edit(made, family).latents)


@pytest.mark.parametrize(
    ("count", "steps", "after"),
    [
        (4, 20, [4, 8, 12, 16]),
        (1, 20, [10]),
        (3, 50, [12, 25, 38]),
        (4, 3, [1, 2]),
        (4, 2, [1]),
        (4, 1, []),
        (0, 20, []),
    ],
)
def test_previews_are_spread_over_the_run(count, steps, after):
    assert preview_steps(count, steps) == after


@pytest.mark.parametrize(
    ("count", "steps", "after"), [(4, 20, [5, 10, 15, 20]), (1, 20, [20]), (4, 2, [1, 2]), (0, 9, [])]
)
def test_the_last_of_them_shows_finished_small_pictures_that_are_made_larger(count, steps, after):
    assert preview_steps(count, steps, then_larger=True) == after
