"""Tables in documents: made by a command from what they are about, put between `<!-- NAME -->` and `<!-- /NAME -->`."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; None is an empty cell."""
    lines = [list(head), ["---"] * len(head), *([_shown(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(cell: object) -> str:
    if isinstance(cell, list):
        return " to ".join(map(str, cell))
    return "" if cell is None else str(cell)


def with_part(document: str, part: str, text: str) -> str:
    """A document with one of its parts renewed.

    Raises:
        ValueError: it has no such part.
    """
    opening, closing = f"<!-- {part} -->", f"<!-- /{part} -->"
    before, _, rest = document.partition(opening)
    _, closed, after = rest.partition(closing)
    if not closed:
        raise ValueError(f"the document has no {opening} ... {closing}: add both where the tables belong")
    return f"{before}{opening}\n{text}{closing}{after}"


def put(file: Path, part: str, text: str) -> None:
    """Renew a part of a document where it lies."""
    file.write_text(with_part(file.read_text(encoding="utf-8"), part, text), encoding="utf-8")


def print_or_put(description: str, file: Path, part: str, text: str) -> None:
    """What a command does that makes one part of one document: print it, or with --write renew it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--write", action="store_true", help=f"put it into {file.name}")
    if parser.parse_args().write:
        put(file, part, text)
    else:
        print(text, end="")
