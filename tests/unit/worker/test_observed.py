"""What a job's events say about time."""

from itertools import count

import pytest

from process.metrics import REGISTRIES, WORKER
from worker.events import ArtifactReady, Failed, Finished, Progress, Started
from worker.observed import observed

PICTURE = ArtifactReady(name="source.png", kind="image", content_type="image/png", data=b"", picture=0)
RUN = [Started(), *(Progress(step=step, steps=3) for step in (1, 2, 3)), PICTURE, Finished()]


@pytest.fixture
def noted(plane):
    """Runs events through, each look at the clock a second after the last; gives how much each metric grew."""
    names = (
        ["p2p_attempts_total"]
        + [f"p2p_{of}_seconds_{what}" for of in ("queue_wait", "first_step", "step") for what in ("count", "sum")]
        + [f"p2p_publication_seconds_{what}" for what in ("count", "sum")]
    )

    def sample(name: str) -> float:
        return REGISTRIES[WORKER].get_sample_value(name, {"model": "tiny"}) or 0.0

    def run(events, listen=list) -> dict[str, float]:
        before = {name: sample(name) for name in names}
        listen(observed((event for event in events), plane.job, clock=count().__next__))
        return {name.removeprefix("p2p_"): sample(name) - before[name] for name in names}

    return run


def test_a_job_that_succeeds_is_an_attempt_steps_and_a_publication(noted):
    grown = noted(RUN)

    assert grown["attempts_total"] == grown["queue_wait_seconds_count"] == 1
    assert (grown["first_step_seconds_count"], grown["step_seconds_count"]) == (1, 2)
    # From asking to the step: one look at the clock later.
    assert grown["step_seconds_sum"] == 2
    assert grown["publication_seconds_count"] == 1


def test_the_publication_is_over_when_more_is_asked_for(noted):
    """From the last step on the clock is looked at after it, after the picture, and after the end."""
    assert noted(RUN)["publication_seconds_sum"] == 3


def test_an_end_that_could_not_be_written_is_no_publication(noted):
    def stops_at_the_end(events) -> None:
        for event in events:
            if isinstance(event, Finished):
                events.close()

    assert noted(RUN, stops_at_the_end)["publication_seconds_count"] == 0


def test_a_job_that_somebody_else_has_begun_is_no_attempt(noted):
    def refuses_the_start(events) -> None:
        next(events)
        events.close()

    grown = noted(RUN, refuses_the_start)

    assert not any(grown.values())


def test_a_job_that_fails_has_no_publication(noted):
    grown = noted([Started(), Failed(code="x", message="y")])

    assert grown["attempts_total"] == 1
    assert grown["publication_seconds_count"] == grown["step_seconds_count"] == 0


def test_whoever_stops_listening_ends_the_engine(plane):
    ended = []

    def engine():
        try:
            yield from RUN
        finally:
            ended.append(True)

    events = observed(engine(), plane.job)
    next(events)
    events.close()

    assert ended
