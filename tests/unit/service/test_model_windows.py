"""A model's own windows: edits that would have the usual ones, and say none, get them."""

import pytest

from p2p.spec import StepWindow

OWN = {"cross_window": StepWindow(stop=0.8), "self_window": StepWindow(stop=0.1)}


@pytest.fixture
def windowed(parts) -> None:
    """The first model, with windows of its own."""
    model = parts.plane.catalogue["tiny"]
    defaults = model.defaults.model_copy(update=OWN)
    parts.plane.catalogue["tiny"] = model.model_copy(update={"defaults": defaults})


@pytest.fixture
def stops(client, edit, parts, windowed):
    """Posts the edit with some fields of its target; gives where the record's windows stop, cross-attention's first."""

    def stops_of(**fields: object) -> tuple[float, float]:
        prompt = {"prompt": fields.pop("prompt", "a dog on the beach")}
        answer = client.post("/v1/edits", json=edit | {"targets": [prompt | fields]})
        assert answer.status_code == 202, answer.text
        (target,) = parts.store.get(answer.json()["id"]).spec.targets
        return target.cross_window.stop, target.self_window.stop

    return stops_of


def test_edits_that_align_the_prompts_have_the_models_windows(stops):
    assert stops(edits=[{"kind": "replace"}]) == (0.8, 0.1)


def test_a_window_that_is_said_wins_also_if_it_says_the_usual_one(stops):
    assert stops(edits=[{"kind": "replace"}], cross_window={"stop": 0.4}) == (0.4, 0.1)


def test_edits_that_align_nothing_keep_windows_of_their_own(stops):
    fader = [{"kind": "reweight", "weights": [{"word": "cat", "weight": 2}]}]

    assert stops(prompt="a cat on the beach", edits=fader) == (0.8, 0.4)
    assert stops(edits=[]) == (0, 0)


def test_what_is_chosen_from_the_words_has_them_where_its_kind_needs_no_others(stops):
    assert stops() == (0.8, 0.1)
    assert stops(prompt="a cat and a dog on the beach") == (0, 0)
    assert stops(self_window={"stop": 0.4}) == (0.8, 0.4)


@pytest.mark.parametrize(
    ("prompt", "windows"),
    [
        ("a black cat on the beach", (0.8, 0.1)),
        ("a cat on the lawn", (0.8, 0.1)),
        ("a cat on the beach at night", (0.8, 0.1)),
        ("a black cat on the lawn at night", (0.8, 0.1)),
        ("a cat with a hat on the beach", (0.4, 0.2)),
        ("a black cat with a hat on the beach", (0.4, 0.2)),
        ("a cat and a frog on the lawn", (0, 0)),
    ],
    ids=["attribute", "place", "style", "several", "what belongs to a thing", "beside an attribute", "beside a place"],
)
def test_the_kind_of_change_says_whether_it_has_them(stops, prompt, windows):
    assert stops(prompt=prompt) == windows


def test_they_are_shown_before_anything_is_run(client, windowed):
    body = {"model": "tiny", "source": {"prompt": "a cat on the beach"}, "targets": [{"prompt": "a dog on the beach"}]}

    (target,) = client.post("/v1/alignments", json=body).json()["targets"]

    assert target["chosen"]["cross_window"]["stop"] == 0.8


def test_other_models_have_the_usual_windows(client, edit, parts, windowed):
    answer = client.post("/v1/edits", json=edit | {"model": "tiny-too"})

    (target,) = parts.store.get(answer.json()["id"]).spec.targets
    assert (target.cross_window.stop, target.self_window.stop) == (0.4, 0.4)


def test_to_say_the_usual_window_is_to_ask_for_something_else(client, edit, windowed):
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/edits", json=edit, headers=headers)
    again = client.post("/v1/edits", json=edit, headers=headers)
    said = {**edit["targets"][0], "cross_window": {"stop": 0.4}}

    other = client.post("/v1/edits", json=edit | {"targets": [said]}, headers=headers)

    assert again.json()["id"] == first.json()["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_clients_are_told_the_models_windows(client, windowed):
    first, second, _ = client.get("/v1/models").json()["models"]

    assert first["defaults"]["cross_window"] == {"start": 0, "stop": 0.8, "unit": "share"}
    assert second["defaults"]["cross_window"] is None
