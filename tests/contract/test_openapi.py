"""The description of the API is the API's."""

import re
from pathlib import Path

import pytest
import yaml

from service.app import create_app
from service.batches.bodies import BatchRequest
from service.edits.requests import EditRequest
from service.http.text_forms import WORDS
from service.openapi import as_yaml
from service.settings import Settings
from webhooks.messages import BatchEnded, EditEnded

FILE = Path(__file__).parents[2] / "openapi.yaml"

#: Addresses whose errors have the shape that OpenAI's clients read.
OF_OPENAI = ("/v1/images/edits", "/v1/images/generations")


@pytest.fixture(scope="module")
def document() -> dict:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_the_file_is_what_the_app_says():
    assert FILE.read_text(encoding="utf-8") == as_yaml(create_app(Settings())), "run `python -m service.openapi`"


def test_every_error_is_a_problem_document(document):
    answers = [
        (status, answer["content"])
        for address, path in document["paths"].items()
        if address not in OF_OPENAI
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if status >= "400"
    ]

    assert answers
    assert all(set(content) == {"application/problem+json"} for _, content in answers)


def test_every_error_of_openais_addresses_is_theirs(document):
    for address in OF_OPENAI:
        for status, answer in document["paths"][address]["post"]["responses"].items():
            if status >= "400":
                (content,) = answer["content"].values()
                assert content["schema"]["$ref"].endswith("/TheirErrorAnswer")


def test_an_operation_is_called_what_it_does(document):
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


@pytest.mark.parametrize("model", [EditRequest, BatchRequest, EditEnded, BatchEnded])
def test_an_example_is_accepted_by_the_schema_it_stands_in(document, model):
    examples = document["components"]["schemas"][model.__name__]["examples"]

    assert examples
    for example in examples:
        model.model_validate(example)


def test_an_answer_with_an_id_leads_to_every_operation_at_it(document):
    operations = {
        operation["operationId"]: (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for parameter, asked in (("edit_id", "submit_edit"), ("batch_id", "submit_batch")):
        # An id of one's own is put, not given.
        takers = {
            name for name, (path, method, _) in operations.items() if f"{{{parameter}}}" in path and method != "put"
        }
        links = operations[asked][2]["responses"]["202"]["links"].values()

        assert takers == {link["operationId"] for link in links}
        assert all(link["parameters"] == {parameter: "$response.body#/id"} for link in links)


def test_what_a_text_must_look_like_is_said_in_words(document):
    """A pattern is no help to who reads an answer."""

    def patterns(part) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(patterns, part))
        if not isinstance(part, dict):
            return set()
        own = {part["pattern"]} if isinstance(part.get("pattern"), str) else set()
        return own.union(part.get("patternProperties", ()), *map(patterns, part.values()))

    assert patterns(document) <= WORDS.keys()
