"""`python -m tools.notices`: the licences of every pinned package, as the table of THIRD_PARTY_NOTICES.md.

With --write it is put into that file. What a package says of itself is taken, in the words of its own metadata, which
is there once it is installed (requirements/dev.txt installs them all).
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files, metadata
from pathlib import Path

from tools.markdown import print_or_put, table

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "THIRD_PARTY_NOTICES.md"
PART = "packages"


def pinned() -> Iterator[tuple[str, str]]:
    """Name and version of every package of every set-up."""
    for file in ("constraints.txt", "worker-cpu.txt"):
        for line in (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines():
            name, pin, version = line.partition("==")
            if pin:
                yield name, version.split()[0]


def licence_of(name: str) -> str:
    """What an installed package says its licence is.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    said = metadata(name)
    named = [line.split(" :: ")[-1] for line in said.get_all("Classifier", []) if line.startswith("License ::")]
    # Not by `said[...]`: what is missing warns from Python 3.13 on, and is to be an error.
    expression, own = ("".join(said.get_all(field, [])) for field in ("License-Expression", "License"))
    text = expression or ", ".join(named) or _first_line(own or _file_of(name))
    # Torch's expression lists what it bundles, twenty licences long.
    return text if len(text) <= 120 else f"{text[:110].rsplit(' AND ', 1)[0]} AND others that it bundles"


def _file_of(name: str) -> str:
    """The text of a package's licence, where it comes with it and is named nowhere."""
    return next((file.read_text() for file in files(name) or () if file.name.startswith("LICENSE")), "")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def packages() -> str:
    """A row for every package."""
    rows = [(f"[{name}](https://pypi.org/project/{name}/)", version, licence_of(name)) for name, version in pinned()]
    return table(("package", "version", "licence"), rows)


if __name__ == "__main__":
    try:
        print_or_put(__doc__.splitlines()[0], DOCUMENT, PART, packages())
    except PackageNotFoundError as error:
        raise SystemExit(f"{error.name} is not installed: pip install -r requirements/dev.txt") from error
