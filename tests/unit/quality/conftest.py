"""The built-in model and its judge, loaded once for a file of tests."""

import pytest

from p2p.families import load as load_family
from scenes.judge.verdict import load as load_judge


@pytest.fixture(scope="module")
def family():
    return load_family("stable_diffusion", "scenes/model")


@pytest.fixture(scope="module")
def judge():
    return load_judge()
