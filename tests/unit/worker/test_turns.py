"""One worker's models take turns: those in memory first, and none is passed over for long."""

import random
from collections.abc import Sequence

import pytest

from worker.turns import PASSED_OVER, Turns


def order_of(turns: Turns, jobs: dict[str, int], room: int, loaded: Sequence[str] = ()) -> list[str]:
    """The models in the order of their jobs, where so many fit into memory and the least recently used leaves."""
    left, taken = dict(jobs), []
    while waiting := {model for model, number in left.items() if number}:
        model = turns.next(waiting, set(loaded))
        assert model is not None
        turns.took(model)
        loaded = [*(each for each in loaded if each != model), model][-room:]
        left[model] -= 1
        taken.append(model)
    return taken


def test_where_nothing_waits_nobodys_turn_it_is():
    assert Turns(["a", "b"]).next(set(), {"a"}) is None


def test_the_first_turn_is_that_of_the_model_named_first():
    assert Turns(["b", "a"]).next({"a", "b"}, set()) == "b"


def test_models_in_memory_take_turns():
    jobs = {"a": 3, "b": 3, "c": 3}

    assert order_of(Turns("abc"), jobs, room=3, loaded="abc") == ["a", "b", "c"] * 3


def test_a_model_in_memory_goes_first_until_another_was_passed_over_often_enough():
    turns = Turns(["a", "b"], passed_over=3)

    assert "".join(order_of(turns, {"a": 8, "b": 8}, room=1)) == "aaabbbaaabbbaabb"


def test_of_models_that_were_passed_over_the_one_with_the_oldest_turn_goes_first():
    turns = Turns(["a", "b", "c"], passed_over=2)
    for model in ("c", "b"):
        turns.next({model}, set())
        turns.took(model)
    for _ in range(2):
        assert turns.next({"a", "b", "c"}, {"a"}) == "a"
        turns.took("a")

    assert turns.next({"a", "b", "c"}, {"a"}) == "c"


def test_a_model_without_jobs_gathers_no_claim_to_the_next_turn():
    turns = Turns(["a", "b"], passed_over=2)
    for waiting in ({"a", "b"}, {"a"}, {"a", "b"}):
        assert turns.next(waiting, {"a"}) == "a"
        turns.took("a")

    assert turns.next({"a", "b"}, {"a"}) == "a"


@pytest.mark.parametrize("seed", range(40))
def test_no_model_that_waits_is_passed_over_more_often_than_is_promised(seed):
    """Jobs come and go at random, and models are loaded and leave at random: more than any budget would do."""
    chance = random.Random(seed)
    models = [f"m{index}" for index in range(chance.randint(1, 14))]
    turns, since = Turns(models), dict.fromkeys(models, 0)
    for _ in range(600):
        likely = chance.random()
        waiting = {model for model in models if since[model] or chance.random() < likely}
        loaded = {model for model in models if chance.random() < 0.5}
        if (model := turns.next(waiting, loaded)) is None:
            assert not waiting
            continue
        assert model in waiting
        turns.took(model)
        for other in waiting:
            since[other] += 1  # a model that waits goes on waiting until its turn
        since[model] = 0
        assert max(since.values()) <= PASSED_OVER + len(models) - 1
