"""The model that a file's tests run on: each family's in turn, once a file."""

import pytest

from tests import families


@pytest.fixture(scope="module", params=families.PIPELINES)
def family_name(request) -> str:
    """The family's name in a models file."""
    return request.param


@pytest.fixture(scope="module")
def build(family_name):
    """Makes a tiny pipeline of the family, by `tests.tiny.pipeline`'s arguments."""
    return families.PIPELINES[family_name]


@pytest.fixture(scope="module")
def pipeline(build):
    return build()


@pytest.fixture(scope="module")
def family(pipeline):
    return families.of(pipeline)
