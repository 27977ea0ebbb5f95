"""`null` is "not given", and a number is a number: everywhere in every body that the API takes."""

import json
from functools import partial

import pytest
from pydantic import ValidationError

from p2p.spec import EditSpec, Part, Sampling, StepWindow, Target
from service.alignments.aligning import AlignmentRequest
from service.batches.bodies import BatchRequest
from service.edits.requests import EditRequest
from service.inversions.bodies import InversionRequest
from tests import bodies

BODIES = {
    EditRequest: bodies.EDIT,
    BatchRequest: bodies.BATCH,
    InversionRequest: bodies.INVERSION,
    AlignmentRequest: bodies.ALIGNMENT,
}
EVERY = [(kind, place, value) for kind, body in BODIES.items() for place, value in bodies.places(body)]
MEMBERS = [(kind, place) for kind, place, _ in EVERY if isinstance(place[-1], str)]
#: A part without its kind is no edit at all.
OPTIONAL_OR_NOT = [each for each in MEMBERS if each[1][-1] != "kind" or each[0] is AlignmentRequest]


def named(case: object) -> str:
    return case.__name__ if isinstance(case, type) else ".".join(map(str, case)) if isinstance(case, tuple) else ""


def outcome(kind: type[Part], body: object, *, as_json: bool = False) -> object:
    """What a body is read as, or where it is complained of."""
    try:
        return kind.model_validate_json(json.dumps(body)) if as_json else kind.model_validate(body)
    except ValidationError as error:
        return [(each["loc"], "missing" if each["input"] is None else each["type"]) for each in error.errors()]


def places_of(read: object) -> object:
    return [loc for loc, _ in read] if isinstance(read, list) else read


@pytest.mark.parametrize(("kind", "body"), BODIES.items(), ids=named)
def test_the_bodies_of_this_test_are_accepted_and_set_every_field(kind, body):
    read = kind.model_validate(body)

    # The published method has no place beside edits of words: `bodies.PUBLISHED` asks for it.
    apart = {"reference"} & set(kind.model_fields)
    assert read.model_fields_set == set(kind.model_fields) - apart


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "python"])
@pytest.mark.parametrize(("kind", "place"), OPTIONAL_OR_NOT, ids=named)
def test_null_is_as_if_the_field_was_not_there(kind, place, as_json):
    read = partial(outcome, kind, as_json=as_json)
    null, absent = read(bodies.put(BODIES[kind], place, None)), read(bodies.without(BODIES[kind], place))

    assert places_of(null) == places_of(absent)
    if isinstance(null, Part):
        assert null.model_dump(exclude_unset=True) == absent.model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    ("kind", "place"), [(kind, place) for kind, place, _ in EVERY if isinstance(place[-1], int)], ids=named
)
def test_null_in_a_list_is_an_error(kind, place):
    assert isinstance(outcome(kind, bodies.put(BODIES[kind], place, None)), list)


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "python"])
@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [each for each in EVERY if isinstance(each[2], bool | int | float)],
    ids=named,
)
def test_a_number_is_no_text_and_no_truth_value(kind, place, value, as_json):
    wrong = [1, 0, "true", "yes", 1.0] if isinstance(value, bool) else [True, False, str(value), "", [value]]

    for each in wrong:
        assert isinstance(outcome(kind, bodies.put(BODIES[kind], place, each), as_json=as_json), list), each


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "python"])
def test_a_whole_number_may_be_written_with_a_point(as_json):
    """JSON has one type of number, and JSON Schema counts 5.0 among the integers."""
    given = bodies.put(bodies.put(bodies.EDIT, ("sampling", "seed"), 7.0), ("start_within",), 6e1)

    assert outcome(EditRequest, given, as_json=as_json) == EditRequest.model_validate(bodies.EDIT)


@pytest.mark.parametrize("value", [5.5, 1e300])
def test_a_broken_number_is_none_of_steps(value):
    assert isinstance(outcome(EditRequest, bodies.put(bodies.EDIT, ("sampling", "steps"), value)), list)


def test_a_spec_made_in_python_takes_lists_tuples_and_numpys_numbers():
    numpy = pytest.importorskip("numpy")
    words = ({"word": "dog", "weight": numpy.float32(2)},)
    target = Target(prompt="a dog", edits=[{"kind": "replace"}, {"kind": "reweight", "weights": words}])

    spec = EditSpec(
        source={"prompt": "a cat"},
        targets=(target,),
        sampling=Sampling(seed=numpy.int64(7), guidance_scale=numpy.float64(2)),
    )

    assert (spec.sampling.seed, spec.targets[0].edits[1].weights[0].weight) == (7, 2.0)


def test_what_is_left_out_of_a_window_is_its_default_also_in_python():
    assert StepWindow(start=None, stop=0.5) == StepWindow(stop=0.5)


def test_a_subclass_has_the_rules_of_its_base_and_for_fields_of_its_own():
    class Mine(Sampling):
        often: int = 3

    assert Mine(often=None, steps=None) == Mine()
    with pytest.raises(ValidationError):
        Mine(often="3")


def test_a_class_that_is_used_twice_has_the_rules_once():
    class Both(Part):
        one: StepWindow = StepWindow()
        other: StepWindow = StepWindow(stop=0.5)

    assert Both(one=None, other={"stop": None}) == Both(other=StepWindow())


# Over HTTP.

CONTENT_TYPES = ["application/json", "application/json; charset=utf-8"]


def post(client, body, content_type):
    return client.post("/v1/edits", content=json.dumps(body), headers={"Content-Type": content_type})


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=["alone", "with its charset"])
@pytest.mark.parametrize(
    "name", ["sampling", "artifacts", "inversion", "webhook", "priority", "start_within", "compat"]
)
def test_an_optional_part_may_be_null(client, edit, name, content_type):
    assert post(client, {**edit, name: None}, content_type).status_code == 202


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=["alone", "with its charset"])
@pytest.mark.parametrize(
    "place", [("source",), ("source", "prompt"), ("targets",), ("targets", 0, "prompt")], ids=named
)
def test_a_field_that_is_needed_is_missing_where_it_is_null(client, edit, place, content_type):
    problem = post(client, bodies.put(edit, place, None), content_type).json()

    pointer = "/" + "/".join(map(str, place))
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, "missing_field")]
    assert "null" in problem["errors"][0]["detail"]


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=["alone", "with its charset"])
def test_an_unknown_field_is_unknown_also_where_it_is_null(client, edit, content_type):
    problem = post(client, {**edit, "colour": None}, content_type).json()

    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/colour", "unknown_field")]


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=["alone", "with its charset"])
@pytest.mark.parametrize("given", [{}, {"kind": None}], ids=["absent", "null"])
def test_an_edit_of_no_kind_is_told_that_it_needs_one(client, edit, given, content_type):
    problem = post(client, bodies.put(edit, ("targets", 0, "edits", 0), given), content_type).json()

    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
        ("/targets/0/edits/0", "missing_edit_kind")
    ]


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=["alone", "with its charset"])
@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        ({"seed": True}, "whole number, without quotes"),
        ({"seed": "5"}, "whole number, without quotes"),
        ({"guidance_scale": "1.5"}, "number, without quotes"),
        ({"guidance_scale": False}, "number, without quotes"),
    ],
)
def test_a_wrong_type_is_told_what_is_right(client, edit, sampling, said, content_type):
    problem = post(client, {**edit, "sampling": sampling}, content_type).json()

    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == (f"/sampling/{next(iter(sampling))}", "wrong_type")
    assert said in error["detail"]


def test_query_parameters_are_text_and_stay_read_as_numbers(client):
    assert client.get("/v1/edits", params={"limit": "5"}).status_code == 200
    assert client.get("/v1/edits", params={"limit": "many"}).status_code == 422


def test_the_description_says_that_null_may_stand_in_requests_and_never_in_answers(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]

    def takes_null(name: str, field: str) -> bool:
        return {"type": "null"} in schemas[name]["properties"][field].get("anyOf", ())

    assert takes_null("SamplingInput", "negative_prompt")
    assert takes_null("EditRequest", "sampling")
    assert takes_null("TargetInput", "cross_window")
    assert not takes_null("Sampling", "negative_prompt")
    assert not takes_null("Target", "cross_window")
    assert not takes_null("TargetInput", "prompt")
