"""The word list finds what readers stumble over, and nothing of it is left."""

import pytest

from tools.plain_language import TURNS, found, turns_in


def test_nothing_that_people_read_has_such_a_turn():
    assert [f"{path}:{number}: {turn}" for path, number, turn, _ in found()] == []


@pytest.mark.parametrize(
    "line",
    ["kept by whoever asked", "None where it is gone", "what came of it", "it is told of its end", "runs are taken up"],
)
def test_a_turn_is_found(line):
    assert list(turns_in(line))


@pytest.mark.parametrize(
    "line", ["`test_live.py::test_whoever_waits`", "told apart by colour", "it takes up to 50", ""]
)
def test_names_of_tests_and_ordinary_words_are_passed_over(line):
    assert list(turns_in(line)) == []


def test_every_turn_says_what_to_write_instead():
    assert all(TURNS.values())
