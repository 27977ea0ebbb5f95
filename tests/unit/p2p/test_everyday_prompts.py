"""The table of docs/automatic.md says what is read."""

from pathlib import Path

import pytest

from p2p.change.reading import Change, read
from p2p.words import Word, words_of, written

DOCUMENT = Path(__file__).parents[3] / "docs" / "automatic.md"


def rows() -> list[list[str]]:
    table = DOCUMENT.read_text(encoding="utf-8").split("| source | edited prompt |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def said(change: Change, old: tuple[Word, ...], new: tuple[Word, ...]) -> str:
    gone, come = " ".join(old[i].text for i in change.gone), " ".join(new[j].text for j in change.new)
    about = " ".join(new[j].text for _, j in change.about)
    return f"{change.kind}: {gone or 'nothing'} → {come or 'nothing'}" + (f" (of {about})" if about else "")


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[1])
def test_an_everyday_pair_is_read_as_the_table_says(row):
    source, target = row[:2]
    changes = read(written(source), written(target)).changes

    assert "; ".join(said(change, words_of(source), words_of(target)) for change in changes) == row[2]


def test_there_are_twenty_and_their_misreadings_are_in_the_table():
    assert len(rows()) >= 20
    assert any(row[3] for row in rows())
