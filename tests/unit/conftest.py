import shutil
from pathlib import Path

import pytest

from scenes.font import FontMissing, font_path
from tests import tiny


@pytest.fixture
def font():
    """Skips, by name, where the emoji font is missing; `.ci/run` installs it, so that CI never skips."""
    try:
        font_path()
    except FontMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """The tiny model's folder; its files are the whole module's."""
    folder = tmp_path_factory.mktemp("saved")
    tiny.save(folder)
    return folder


@pytest.fixture
def model(saved, tmp_path) -> Path:
    """A copy of the tiny model, to be spoilt."""
    return Path(shutil.copytree(saved, tmp_path / "model"))
