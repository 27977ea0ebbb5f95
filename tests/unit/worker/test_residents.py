"""Which models are in memory: the least recently used leave where all do not fit."""

import gc
import logging
import weakref
from types import SimpleNamespace

import pytest
import torch

from p2p.families import load as load_model
from p2p.families.occupied import occupied
from tests import tiny
from worker.residents import Resident, Residents


def residents(sizes: dict[str, int], *, expected: bool = True, **how) -> tuple[Residents, list[str]]:
    """Models of some sizes, and a list of what was loaded."""
    loaded: list[str] = []

    def load(model: str) -> Resident:
        loaded.append(model)
        return Resident(SimpleNamespace(of=model), lambda: sizes[model])

    return Residents(load, expected=sizes if expected else None, **how), loaded


def test_without_a_budget_every_model_stays():
    memory, loaded = residents({"a": 10**15, "b": 10**15, "c": 10**15})
    for model in "abcabc":
        memory.bring(model)

    assert (memory.loaded, loaded) == ({"a", "b", "c"}, ["a", "b", "c"])


def test_the_model_whose_jobs_are_longest_ago_leaves():
    memory, _ = residents({"a": 4, "b": 4, "c": 4}, budget=8)
    for model in "ab":
        memory.bring(model)
        memory.engine(model)
    assert memory.engine("a").of == "a"

    memory.bring("c")

    assert memory.loaded == {"a", "c"}


def test_as_many_leave_as_have_to():
    memory, _ = residents({"a": 2, "b": 3, "c": 4, "d": 7}, budget=9)
    for model in "abcd":
        memory.bring(model)

    assert memory.loaded == {"d"}


def test_models_that_fill_the_budget_exactly_stay():
    memory, _ = residents({"a": 4, "b": 4}, budget=8)
    for model in "ab":
        memory.bring(model)

    assert memory.loaded == {"a", "b"}


def test_others_leave_before_a_model_is_loaded_whose_size_is_known():
    memory, _ = residents({"a": 4, "b": 6}, budget=8)
    memory.bring("a")
    there: list[frozenset[str]] = []
    of_b = memory._load
    memory._load = lambda model: there.append(memory.loaded) or of_b(model)

    memory.bring("b")

    assert there == [frozenset()]


@pytest.mark.parametrize("budget", [1, 7])
def test_a_model_whose_size_shows_once_it_is_loaded_stays_and_the_others_leave(budget, caplog):
    memory, _ = residents({"a": 4, "b": 6}, expected=False, budget=budget)
    with caplog.at_level(logging.WARNING):
        for model in "ab":
            memory.bring(model)

    assert memory.loaded == {"b"}
    assert ("it is served alone" in caplog.text) == (budget == 1)


def test_a_model_grows_with_what_its_jobs_have_it_hold():
    """A LoRA that the last job asked for stays in memory."""
    sizes = {"a": 4, "b": 4}
    memory, _ = residents(sizes, budget=8)
    memory.bring("a")
    sizes["a"] = 5

    memory.bring("b")

    assert memory.loaded == {"b"}


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_a_model_that_does_not_fit_beside_the_others_is_loaded_without_them(error):
    memory, _ = residents({"a": 4, "b": 4})
    memory.bring("a")
    load, tried = memory._load, []

    def full(model: str) -> Resident:
        tried.append(memory.loaded)
        if memory.loaded:
            raise error("full")
        return load(model)

    memory._load = full
    memory.bring("b")

    assert (tried, memory.loaded) == ([{"a"}, frozenset()], {"b"})


def test_a_model_that_does_not_fit_alone_is_not_in_memory_and_the_next_one_is():
    memory, _ = residents({"a": 4, "b": 4})
    load = memory._load

    def full(model: str) -> Resident:
        if model == "a":
            raise MemoryError("full")
        return load(model)

    memory._load = full
    with pytest.raises(MemoryError):
        memory.bring("a")
    memory.bring("b")

    assert memory.loaded == {"b"}


def test_all_but_the_model_in_use_leave_where_a_job_needs_their_room():
    memory, _ = residents({"a": 4, "b": 4, "c": 4})
    for model in "abc":
        memory.bring(model)

    assert memory.leave_alone("b")
    assert memory.loaded == {"b"}
    assert not memory.leave_alone("b")


def test_a_lost_device_ends_the_process():
    given_up: list[bool] = []

    def lost(model: str) -> Resident:
        raise torch.AcceleratorError("unspecified launch failure")

    with pytest.raises(torch.AcceleratorError):
        Residents(lost, give_up=lambda: given_up.append(True)).bring("a")

    assert given_up == [True]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resident") / "model"
    tiny.save(folder)
    return str(folder)


def test_what_a_model_occupied_is_free_once_it_has_left(folder):
    networks: list[weakref.ref] = []

    def load(model: str) -> Resident:
        family = load_model("stable_diffusion", folder)
        networks.append(weakref.ref(family.network))
        return Resident(SimpleNamespace(family=family), lambda: 1)

    memory = Residents(load, budget=1)
    gc.disable()
    try:
        for model in "ab":
            memory.bring(model)

        assert networks[0]() is None
        assert networks[1]() is not None
    finally:
        gc.enable()


def test_a_model_occupies_its_weights_and_their_packed_copies_from_the_start(folder):
    family = load_model("stable_diffusion", folder)
    before = occupied(family.networks)
    with torch.no_grad():
        family.network(torch.zeros(1, 4, 16, 16), 0, torch.zeros(1, 24, 16))

    packed = [
        (module.weight.nbytes, module.packed)
        for module in family.network.modules()
        if getattr(module, "packed", None) is not None
    ]
    assert packed
    weights = sum(each.nbytes for network in family.networks for each in network.parameters())
    assert before == occupied(family.networks)
    assert weights + sum(size for size, _ in packed) <= before <= 2 * weights + 10_000


def test_weights_that_networks_share_count_once():
    layer = torch.nn.Linear(8, 8, bias=False)

    assert occupied([layer, torch.nn.Sequential(layer)]) == 8 * 8 * 4
