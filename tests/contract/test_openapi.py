"""The description of the API is the API's."""

from pathlib import Path

import pytest
import yaml

from service.app import create_app
from service.batch_bodies import BatchRequest
from service.openapi import as_yaml
from service.schemas import EditRequest
from service.settings import Settings
from service.webhooks.messages import BatchEnded, EditEnded

FILE = Path(__file__).parents[2] / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_the_file_is_what_the_app_says():
    assert FILE.read_text(encoding="utf-8") == as_yaml(create_app(Settings())), "run `python -m service.openapi`"


def test_every_error_is_a_problem_document(document):
    answers = [
        (status, answer["content"])
        for path in document["paths"].values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if status >= "400"
    ]

    assert answers
    assert all(set(content) == {"application/problem+json"} for _, content in answers)


@pytest.mark.parametrize("model", [EditRequest, BatchRequest, EditEnded, BatchEnded])
def test_an_example_is_accepted_by_the_schema_it_stands_in(document, model):
    examples = document["components"]["schemas"][model.__name__]["examples"]

    assert examples
    for example in examples:
        model.model_validate(example)
