"""From which queue a worker of several models takes its next message, and what it loads before."""

import logging
from types import SimpleNamespace

import pytest
import redis

from worker.pulse import pulse
from worker.taking import CLAIMED, FAILED, OneModel, SeveralModels


class Plane:
    """Queues, memory and a clock, as a worker of several models sees them."""

    def __init__(self) -> None:
        self.messages: dict[str, int] = {}
        self.loaded: frozenset[str] = frozenset()
        self.claimed_elsewhere: set[str] = set()
        self.broken: set[str] = set()
        self.posted: list[str | None] = []
        self.said: list[str] = []
        self.now = 0.0
        self.while_pausing = lambda: None
        self.beaten = 0

    def waiting(self) -> frozenset[str]:
        return frozenset(model for model, number in self.messages.items() if number)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.said.append("waited")

    def claim(self, model: str) -> bool:
        return model not in self.claimed_elsewhere

    def renew(self, model: str) -> None:
        self.said.append(f"renewed {model}")

    def release(self, model: str) -> None:
        self.said.append(f"released {model}")

    def bring(self, model: str) -> None:
        assert self.posted[-1] is None, "the model before is held in memory"
        if model in self.broken:
            raise OSError("the file is\ngone")
        self.said.append(f"loaded {model}")
        self.loaded = frozenset({model})

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.while_pausing()

    def beat(self) -> None:
        self.beaten += 1


@pytest.fixture
def worker():
    """A worker of "a", "b" and "c", and its surroundings; one model fits into memory."""
    plane = Plane()
    limits = dict.fromkeys("abc", 60.0)
    taking = SeveralModels(limits, plane, plane, plane.posted.append, clock=lambda: plane.now, pause=plane.pause)
    return SimpleNamespace(taking=taking, plane=plane)


def taken(worker) -> str | None:
    """Moves the next message, as the worker does it; the model that it is of."""
    model = worker.taking.ready(worker.plane.beat)
    if model is not None:
        worker.plane.messages[model] -= 1
        worker.taking.took(model)
    return model


def test_one_models_queue_is_always_the_next():
    taking = OneModel("a")

    assert (taking.ready(lambda: None), taking.may_block, taking.served) == ("a", True, {"a"})


def test_where_no_message_waits_there_is_no_next_one_and_nothing_is_loaded(worker):
    assert taken(worker) is None
    assert worker.plane.loaded == frozenset()


def test_a_model_is_loaded_before_its_message_is_taken_and_set_to_work_after(worker):
    worker.plane.messages = {"b": 1}

    assert worker.taking.ready(worker.plane.beat) == "b"
    assert (worker.plane.said, worker.plane.posted) == (["loaded b", "released b"], [None])
    worker.taking.took("b")
    assert worker.plane.posted == [None, "b"]


def test_a_model_in_memory_is_not_loaded_again(worker):
    worker.plane.messages = {"a": 2}

    assert [taken(worker), taken(worker), taken(worker)] == ["a", "a", None]
    assert worker.plane.said.count("loaded a") == 1


def test_a_message_that_another_worker_takes_meanwhile_has_nothing_loaded(worker):
    worker.plane.messages = {"a": 1}
    worker.plane.while_pausing = worker.plane.messages.clear

    assert taken(worker) is None
    assert worker.plane.said == []


def test_a_model_that_another_worker_loads_is_left_to_it_for_a_while(worker):
    worker.plane.messages, worker.plane.claimed_elsewhere = {"a": 1, "b": 1}, {"a"}

    assert taken(worker) is None
    assert taken(worker) == "b"
    worker.plane.claimed_elsewhere.clear()
    worker.plane.now += CLAIMED
    assert taken(worker) == "a"


def test_a_model_that_cannot_be_loaded_leaves_its_messages_and_is_not_served(worker, caplog):
    worker.plane.messages, worker.plane.broken = {"a": 1, "b": 2}, {"a"}

    with caplog.at_level(logging.ERROR):
        assert [taken(worker), taken(worker), taken(worker), taken(worker)] == [None, "b", "b", None]

    assert worker.taking.served == {"b", "c"}
    assert worker.plane.messages["a"] == 1
    assert "model a cannot be loaded: the file is gone; its jobs stay in their queue" in caplog.text
    assert caplog.text.count("cannot be loaded") == 1
    assert worker.plane.said.count("released a") == 1


def test_a_model_that_could_not_be_loaded_is_tried_again_and_served(worker):
    worker.plane.messages, worker.plane.broken = {"a": 1}, {"a"}
    assert taken(worker) is None

    worker.plane.broken.clear()
    worker.plane.now += FAILED - 1
    assert taken(worker) is None
    worker.plane.now += 1
    assert taken(worker) == "a"
    assert worker.taking.served == {"a", "b", "c"}


def test_it_waits_for_a_message_only_where_none_can_be_taken(worker):
    worker.plane.messages = {"a": 1}
    worker.taking.wait(1)
    assert worker.plane.said == []

    worker.plane.broken = {"a"}
    assert taken(worker) is None
    worker.taking.wait(1)
    assert worker.plane.said == ["released a", "waited"]


def test_signs_of_life_are_given_until_it_has_taken_too_long(caplog):
    beaten: list[int] = []

    def beat() -> None:
        beaten.append(1)
        if len(beaten) == 1:
            raise redis.ConnectionError("gone for a moment")

    with pulse(beat, limit=600, every=0.01):
        while len(beaten) < 3:
            pass
    with caplog.at_level(logging.ERROR), pulse(beaten.clear, limit=-1, every=0.01):
        while "no further sign of life" not in caplog.text:
            pass

    assert len(beaten) >= 3
