"""The model that a file's tests run on."""

import pytest

from tests import families


@pytest.fixture(scope="module")
def pipeline(build):
    return build()


@pytest.fixture(scope="module")
def family(pipeline):
    return families.of(pipeline)
