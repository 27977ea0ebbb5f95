"""What a job that runs alone is said to have used."""

from itertools import count

import pytest

from worker.events import ArtifactReady, Failed, Finished, Progress, Started
from worker.metered import Meter

PICTURE = ArtifactReady(name="source.png", kind="image", content_type="image/png", data=b"a picture", picture=0)


class Clock:
    """A clock that others move on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def engine(clock: Clock, *events):
    """Each event takes a second."""
    for event in events:
        clock.seconds += 1
        yield event


def test_steps_are_counted_and_what_is_written_between_them_is_not(plane, clock):
    meter = Meter(plane.job, clock)
    for _ in meter.metered(
        engine(clock, Started(), *(Progress(step=n, steps=3) for n in (1, 2, 3)), PICTURE, Finished())
    ):
        clock.seconds += 10

    assert (meter.usage().gpu_seconds, meter.usage().steps) == (3.0, 3)


def test_a_job_that_fails_counts_the_steps_that_it_did(plane, clock):
    meter = Meter(plane.job, clock)
    list(meter.metered(engine(clock, Started(), Progress(step=1, steps=3), Failed(code="x", message="y"))))

    assert (meter.usage().gpu_seconds, meter.usage().steps) == (1.0, 1)


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({"guidance_scale": 7.5}, 6),
        ({"guidance_scale": 1.0}, 3),
        ({"guidance_scale": 7.5, "seeds": (1, 2, 3)}, 18),
    ],
)
def test_rows_are_those_of_sources_and_targets_twice_with_guidance(plane, asked, rows):  # a source, two targets
    sampling = plane.job.spec.sampling.model_copy(update={**asked, "height": 512, "width": 256})
    spec = plane.job.spec.model_copy(update={"sampling": sampling})

    used = Meter(plane.job.model_copy(update={"spec": spec}), count().__next__).usage()

    assert (used.rows, used.megapixels) == (rows, 0.131072)
