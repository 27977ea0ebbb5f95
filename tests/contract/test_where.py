"""A stranger who reads where a new thing goes finds it there: files, and the names in them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of each row of the first table below a heading."""
    section = DOCUMENT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


WALK = rows("The way of one edit")
PLACES = rows("Where new things go")
#: "`NAME` in `file`", or "`NAME` there" after a file: what is named, and where it stands.
NAMED = re.compile(r"`([A-Za-z_]+)`(?: and its row of `(\w+)`)?(?: in| joins[^`]*`\w+` in) `([\w./]+\.(?:py|js))`")


def test_the_first_answers_are_those_that_strangers_ask_for():
    assert [row[0] for row in PLACES[:5]] == ["an edit kind", "a model family", "a route", "a job state", "a metric"]


def test_the_readme_leads_to_the_table():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "docs/architecture.md#where-new-things-go" in readme
    assert all(name.removeprefix("a ").removeprefix("an ") in readme for name, *_ in PLACES[:5])


@pytest.mark.parametrize("row", PLACES, ids=lambda row: row[0])
def test_what_a_row_names_stands_in_the_file_that_it_names(row):
    for *names, file in NAMED.findall(row[1]):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert all(re.search(rf"\b{name}\b", text) for name in names if name), (names, file)


def test_names_are_looked_for_at_all():
    assert sum(len(NAMED.findall(row[1])) for row in PLACES) >= 12


def test_no_stop_of_an_edit_is_visited_twice():
    stops = [file for row in WALK for file in re.findall(r"`([\w./]+)`", row[0])]

    assert len(stops) == len(set(stops)) > 20
    assert [file for file in stops if not (ROOT / file).exists()] == []
