"""Whoever ships this knows what of others they ship."""

from importlib.metadata import PackageNotFoundError

import pytest

from tools.notices import DOCUMENT, ROOT, licence_of, pinned

TEXT = DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "version"), list(pinned()))
def test_every_pinned_package_is_listed_with_the_licence_it_declares(name, version):
    try:
        licence = licence_of(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} has no wheel for this machine")

    assert licence
    row = f"| [{name}](https://pypi.org/project/{name}/) | {version} | {licence} |"
    assert row in TEXT, "run `python -m tools.notices --write`"


@pytest.mark.parametrize(("name", "version"), list(pinned()))
def test_no_package_forbids_a_product_of_ones_own(name, version):
    """Strong copyleft would bind the whole service; weak copyleft (MPL) binds the package's own files alone."""
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| [{name}]"))

    assert "GPL" not in row.replace("LGPL", "")


def test_the_project_says_its_own_licence():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
