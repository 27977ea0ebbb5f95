"""docs/errors.md says every code, and says them as the source does."""

import re

from tools.error_codes import DOCUMENT, PART, answers, document, said
from tools.markdown import with_part

TEXT = DOCUMENT.read_text(encoding="utf-8")


def test_the_tables_are_the_codes_of_the_source():
    assert with_part(TEXT, PART, document()) == TEXT, "run `python -m tools.error_codes --write`"


def test_every_answer_has_one_status():
    statuses: dict[str, set[int]] = {}
    for status, code, _ in answers():
        statuses.setdefault(code, set()).add(status)

    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_a_code_is_found_wherever_it_is_written(tmp_path, monkeypatch):
    """The shapes in which the source says codes: beside a message, a name for one, or as keywords."""
    (tmp_path / "some.py").write_text(
        '_WHY = "it is too late"\n'
        "def refuse():\n"
        '    yield ("here",), "in_a_row", f"{1} is wrong: do"\n'
        '    raise Refused("by_a_name", _WHY)\n'
        '    raise Failed(message="is as it is", code="by_keywords")\n'
    )
    monkeypatch.setattr("tools.error_codes.ROOT", tmp_path)

    assert dict(said("*.py")) == {
        "in_a_row": "… is wrong: do", "by_a_name": "it is too late", "by_keywords": "is as it is",
    }  # fmt: skip


def test_messages_say_what_to_do():
    """What is filled in aside, every message of a field names the thing and, after a colon, the way out."""
    plain = [(code, text) for code, text in said("p2p/spec/*.py", "service/edits/resolving.py", "service/images/*.py")]

    assert [code for code, text in plain if not re.search(r": \S", text)] == []
