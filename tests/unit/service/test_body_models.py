"""Bodies of many values: the same model, and the same first mistakes, in bounded work."""

import copy
import json

import pytest
from fastapi.exceptions import RequestValidationError

from service.alignments.aligning import AlignmentRequest
from service.batches.bodies import BatchRequest
from service.edits.requests import EditRequest
from service.http.body_models import MANY_VALUES, MOST_MEMBERS, BodyModel, FirstMistakes
from service.inversions.bodies import InversionRequest
from tests.bodies import ALIGNMENT, BATCH, EDIT, INVERSION, PUBLISHED, places, put

BODIES = [
    (EditRequest, EDIT),
    (EditRequest, PUBLISHED),
    (BatchRequest, BATCH),
    (InversionRequest, INVERSION),
    (AlignmentRequest, ALIGNMENT),
]
SMALL, LARGE = MANY_VALUES, MANY_VALUES + 1
#: Wrong in any place that is no list of such things.
WRONG = [None, 0, "", "x" * 3000, [], [0, 0], {}, {"x": 1}, True]


def errors_of(model: BodyModel, body: object, values: int) -> list:
    try:
        model.read(body, values)
    except RequestValidationError as error:
        return error.errors()
    return []


@pytest.mark.parametrize(("model", "body"), BODIES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_body_of_many_values_is_the_same_model(model, body):
    reader = BodyModel(model)

    assert reader.read(body, LARGE) == reader.read(body, SMALL)
    assert type(reader.read(body, LARGE)) is model


@pytest.mark.parametrize(("model", "body"), BODIES, ids=lambda each: getattr(each, "__name__", ""))
def test_one_wrong_value_is_complained_of_alike(model, body):
    reader = BodyModel(model)
    for place, value in places(body):
        for wrong in WRONG:
            if type(wrong) is not type(value):
                sent = put(body, place, wrong)
                one, other = (errors_of(reader, copy.deepcopy(sent), values) for values in (SMALL, LARGE))
                assert bool(one) == bool(other), place
                # The mistakes of a list are reported up to its first wrong item.
                assert all(each in one for each in other), place
                assert other[:1] == one[:1], place


MANY = {
    "unknown fields": {**EDIT, **{f"f{number}": 0 for number in range(20_000)}},
    "wrong targets": put(EDIT, ("targets",), [0] * 60_000),
    "wrong names": put(EDIT, ("targets", 0, "edits", 1, "weights"), [0] * 60_000),
    "wrong edits everywhere": put(EDIT, ("targets",), [{"prompt": 0, "edits": [0] * 8, "x": 0}] * 5_000),
    "names without words": put(EDIT, ("targets", 0, "word_windows"), [{}] * 60_000),
    "wrong seeds": put(EDIT, ("sampling", "seeds"), ["x"] * 50_000),
    "no object": [0] * 60_000,
}


@pytest.mark.parametrize("name", MANY)
def test_a_body_of_nothing_but_mistakes_makes_few_of_them(client, name):
    text = json.dumps(MANY[name], separators=(",", ":"))
    assert len(text) < 262_144
    found = errors_of(BodyModel(EditRequest), json.loads(text), text.count(","))
    answer = client.post("/v1/edits", content=text, headers={"Content-Type": "application/json"})

    assert 0 < len(found) < MOST_MEMBERS
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) <= 32
    assert "up to the first mistake of each list" in answer.json()["detail"]


def test_a_body_that_was_not_read_to_the_end_says_so_by_its_kind():
    with pytest.raises(FirstMistakes):
        BodyModel(EditRequest).read([], LARGE)
    with pytest.raises(RequestValidationError) as raised:
        BodyModel(EditRequest).read([], SMALL)

    assert not isinstance(raised.value, FirstMistakes)


def test_a_short_body_says_how_many_mistakes_are_left_out(client):
    answer = client.post("/v1/edits", json={f"field-{number}": 0 for number in range(100)}).json()

    assert len(answer["errors"]) == 32
    assert answer["detail"].startswith("102 fields need to be changed, see `errors` (the first 32, 70 are left out)")


def test_mistakes_of_many_edits_say_how_many_are_left_out(client):
    edit = {**put(EDIT, ("model",), "none"), "source": {"prompt": "a cat on the beach"}, "inversion": None}
    answer = client.post("/v1/batches", json={"edits": [edit] * 40}).json()

    assert (len(answer["errors"]), "8 are left out" in answer["detail"]) == (32, True)


def test_an_edit_names_no_more_words_than_are_read(client):
    blend = {"words": [{"word": "dog"}] * 32, "subtract_words": [{"word": "dog"}] * 32}
    target = {"prompt": "a dog", "edits": [{"kind": "refine"}], "local_blend": blend}
    answer = client.post("/v1/edits", json={"source": {"prompt": "a cat"}, "targets": [target] * 33}).json()

    assert [(each["pointer"], each["code"]) for each in answer["errors"]] == [("/targets", "too_many_names")]


def test_a_complaint_shows_the_beginning_of_a_long_prompt(client):
    target = {"prompt": "a dog " * 300, "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": []}]}
    target["edits"][1]["weights"] = [{"word": "zebra", "weight": 2}]
    answer = client.post("/v1/edits", json={"source": {"prompt": "a cat"}, "targets": [target]}).json()

    assert answer["errors"][0]["code"] == "word_not_found"
    assert len(answer["errors"][0]["detail"]) < 250
