"""LoRAs in a request: from the model's own list, within what the models file allows."""

from dataclasses import replace

import pytest

from jobs.catalogue import LoraChoice
from p2p.spec import LoraUse
from tests.kept_inversions import kept_inversion
from tests.unit.service.test_images import file_of, halves

EDIT = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
}

VOCABULARY = "say it in words of its `vocabulary` (GET /v1/models)"


@pytest.fixture(autouse=True)
def offered(parts) -> None:
    """The tiny model offers two LoRAs."""
    choices = (
        LoraChoice(id="ink", path="/ink.safetensors", description="As if drawn with ink.", words=("Inky",)),
        LoraChoice(id="clay", path="/clay.safetensors", max_weight=0.8),
    )
    tiny = parts.plane.catalogue["tiny"].model_copy(update={"lora_choices": choices})
    parts.plane = replace(parts.plane, catalogue={**parts.plane.catalogue, "tiny": tiny})


def test_what_a_model_offers_is_listed(client):
    (tiny,) = [model for model in client.get("/v1/models").json()["models"] if model["id"] == "tiny"]

    assert tiny["loras"] == [
        {"id": "ink", "description": "As if drawn with ink.", "words": ["Inky"], "max_weight": 2.0},
        {"id": "clay", "description": "", "words": [], "max_weight": 0.8},
    ]


def test_a_lora_of_the_list_is_in_the_record(client, parts):
    response = client.post("/v1/edits", json={**EDIT, "loras": [{"id": "clay", "weight": -0.5}, {"id": "ink"}]})

    assert response.status_code == 202, response.text
    assert [(use.id, use.weight) for use in parts.store.get(response.json()["id"]).spec.loras] == [
        ("clay", -0.5),
        ("ink", 1.0),
    ]


BAD_LORAS = pytest.mark.parametrize(
    ("loras", "pointer", "code", "said"),
    [
        ([{"id": "oil"}], "/loras/0/id", "unknown_lora", "tiny has no LoRA oil: choose one of ink, clay"),
        ([{"id": "ink"}, {"id": "clay", "weight": 0.9}], "/loras/1/weight", "out_of_range", "takes clay from -0.8 to"),
        ([{"id": "ink", "weight": 2.5}], "/loras/0/weight", "out_of_range", "2"),
        ([{"id": "ink"}, {"id": "ink"}], "/loras/1/id", "lora_repeated", "ink is there already"),
        ([{"id": "ink"}] * 5, "/loras", "too_many", "4"),
        ([{"weight": 1}], "/loras/0/id", "missing_field", ""),
        ("ink", "/loras", "wrong_type", ""),
    ],
)


@BAD_LORAS
def test_a_bad_lora_is_pointed_at(client, loras, pointer, code, said):
    pointed_at(client.post("/v1/edits", json={**EDIT, "loras": loras}), pointer, code, said)


@BAD_LORAS
def test_a_bad_lora_of_an_inversion_is_pointed_at_as_an_edits_is(client, photo, loras, pointer, code, said):
    pointed_at(client.post("/v1/inversions", json={**photo, "loras": loras}), pointer, code, said)


def pointed_at(response, pointer: str, code: str, said: str) -> None:
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert said in error["detail"]


def test_a_model_that_offers_none_says_so(client):
    response = client.post("/v1/edits", json={**EDIT, "model": "tiny-too", "loras": [{"id": "ink"}]})

    assert "leave `loras` out" in response.text


@pytest.fixture
def photo(client) -> dict:
    """The body of an inversion."""
    upload = client.post("/v1/images", files={"image": file_of(halves())}).json()["id"]
    return {"model": "tiny", "source": {"prompt": "a cat on the beach", "image": {"upload": upload}}}


def test_an_inversion_made_ahead_is_made_with_the_loras_of_its_edits(client, parts, photo):
    response = client.post("/v1/inversions", json={**photo, "loras": [{"id": "clay", "weight": -0.5}]})

    assert response.status_code == 202, response.text
    assert parts.store.get(response.json()["id"]).spec.loras == (LoraUse(id="clay", weight=-0.5),)


def test_the_same_name_with_other_loras_is_another_inversion(client, photo):
    def asked(**more):
        return client.post("/v1/inversions", json=photo | more, headers={"Idempotency-Key": "ahead"}).json()

    first, again = asked(loras=[{"id": "ink"}]), asked(loras=[{"id": "ink"}])

    assert first["id"] == again["id"]
    for other in ({}, {"loras": [{"id": "ink", "weight": 0.5}]}):
        assert asked(**other)["code"] == "idempotency_key_reused"


def test_a_kept_inversion_says_its_loras(client, parts):
    uses = (LoraUse(id="ink", weight=0.5),)
    parts.inversions.kept["with"] = kept_inversion("with", "img").model_copy(update={"loras": uses})
    parts.inversions.kept["without"] = kept_inversion("without", "img")

    said = {each["id"]: each["loras"] for each in client.get("/v1/inversions").json()["inversions"]}
    assert said == {"with": [{"id": "ink", "weight": 0.5}], "without": []}


def test_a_record_of_an_inversion_from_before_has_no_loras():
    record = kept_inversion("old", "img").model_dump(exclude={"loras"}, mode="json")

    assert type(kept_inversion("old", "img")).model_validate(record).loras == ()


@pytest.fixture
def of_few_words(client, parts):
    """The API whose model lists its vocabulary."""
    tiny = parts.plane.catalogue["tiny"].model_copy(update={"vocabulary": ("a", "cat", "dog", "on", "the", "beach")})
    client.app.state.plane = replace(parts.plane, catalogue={**parts.plane.catalogue, "tiny": tiny})
    return client


def notices_of(client, prompt: str, *loras: str) -> list[str]:
    targets = [{"prompt": prompt, "edits": [{"kind": "refine"}]}]
    sent = {**EDIT, "targets": targets, "loras": [{"id": lora, "weight": 0.5} for lora in loras]}
    answer = client.post("/v1/edits", json=sent)
    assert answer.status_code == 202, answer.text
    return [notice["detail"] for notice in answer.json()["notices"]]


def test_a_word_of_a_lora_that_is_asked_for_is_known(of_few_words):
    assert notices_of(of_few_words, "an INKY cat on the beach", "ink") == ["tiny was not trained on an: " + VOCABULARY]
    assert notices_of(of_few_words, "a inky cat on the beach", "clay", "ink") == []


def test_a_word_of_a_lora_that_is_not_asked_for_is_said_to_be_its(of_few_words):
    said = f"tiny was not trained on inky: {VOCABULARY}, or ask for ink in `loras`"

    assert notices_of(of_few_words, "a inky cat on the beach") == [said]
    assert notices_of(of_few_words, "a inky cat on the beach", "clay") == [said]
    assert notices_of(of_few_words, "a mossy cat on the beach") == [f"tiny was not trained on mossy: {VOCABULARY}"]
