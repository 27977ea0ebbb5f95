import pytest

from scenes.font import FontMissing, font_path


@pytest.fixture
def font():
    """Skips, by name, where the emoji font is missing; `.ci/run` installs it, so that CI never skips."""
    try:
        font_path()
    except FontMissing as missing:
        pytest.skip(str(missing))
