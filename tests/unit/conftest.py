import shutil
from pathlib import Path

import pytest

from scenes.font import FontMissing, font_path
from tests import families, tiny


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests of families that lack what the test says that it needs (`tests.families.ABLE`)."""
    out = [item for item in items if not _able(item)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if _able(item)]


def _able(item: pytest.Item) -> bool:
    family = getattr(item, "callspec", None) and item.callspec.params.get("family_name")
    needed = {what for mark in item.iter_markers("needs") for what in mark.args}
    return family is None or needed <= families.ABLE[family]


@pytest.fixture
def font():
    """Skips, by name, where the emoji font is missing; `.ci/run` installs it, so that CI never skips."""
    try:
        font_path()
    except FontMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=families.PIPELINES)
def family_name(request) -> str:
    """A family's name in a models file: a test that asks for it runs for each in turn, all of a file for one first."""
    return request.param


@pytest.fixture(scope="module")
def build(family_name):
    """Makes a tiny pipeline of the family, by `tests.tiny.pipeline`'s arguments."""
    return families.PIPELINES[family_name]


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
