"""A worker that is told to end knows what it still has time for."""

from datetime import timedelta
from types import SimpleNamespace

from worker.drain import Drain, Pace


def test_before_it_is_asked_there_is_time_for_anything():
    drain = Drain(timedelta(seconds=5))

    assert not drain.is_asked
    assert not drain.is_too_late_for(1e9)


def test_the_grace_time_runs_from_the_first_time_it_is_asked():
    clock = SimpleNamespace(now=100.0)
    drain = Drain(timedelta(seconds=5), clock=lambda: clock.now)
    drain.ask()
    clock.now = 103
    drain.ask()

    assert drain.is_asked
    assert not drain.is_too_late_for(2)
    assert drain.is_too_late_for(2.1)


def test_a_run_goes_on_as_it_went_after_its_first_step():
    clock = SimpleNamespace(now=0.0)
    pace = Pace(clock=lambda: clock.now)
    assert pace.seconds_of(10) == 0
    for clock.now in (30.0, 32.0, 34.0):
        pace.step_ended()

    assert pace.seconds_of(10) == 20
