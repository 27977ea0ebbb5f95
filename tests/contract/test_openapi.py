"""The description of the API is the API's."""

from pathlib import Path

import pytest
import yaml

from service.app import create_app
from service.openapi import as_yaml
from service.settings import Settings

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


def test_the_example_is_accepted_by_the_schema_it_stands_in(document):
    from service.schemas import EditRequest

    for example in document["components"]["schemas"]["EditRequest"]["examples"]:
        assert EditRequest.model_validate(example).asked(None).spec.model == "scenes"
