"""`python -m tools.plain_language`: turns of phrase that readers stumble over; `make check` looks for them.

A row here is a turn and what to write instead. It is looked for in code, documents and pages; names of tests that
documents quote are passed over.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Files that people read. Generated ones repeat their sources.
READ = ("*.py", "*.md", "*.html", "*.js", "*.lua")
#: What the tests say is for its own readers; the changelog and the notices quote others.
PASSED_OVER = ("tests/*", "clients/typescript/src/schema.ts", "CHANGELOG.md", "tools/plain_language.py")

#: A turn, and what to write instead.
TURNS: Mapping[str, str] = {
    r"whoever|whomever": "name the person or the program: the client, the caller, the supervisor",
    r"(?:none|nobody|nothing) where": '"None if ...", "no ... if ..."',
    r"what (?:comes|came|come) of": "the result, the outcome, how it went",
    r"what of (?!fers)": "which, the parts that",
    r"taken up|takes? (?:it |them )?up(?! to)": "reuse, go on with",
    r"(?:is|are|be|was|were|been) told(?! apart)": "is sent, gets, is notified",
    r"tells? of|told of": "announces, reports, is about",
    r"as it lies(?! (?:within|over))": "directly, unchanged",
    r"whose it is": "its owner",
}
_ANY = re.compile("|".join(rf"(?P<t{number}>\b(?:{turn}))" for number, turn in enumerate(TURNS)), re.IGNORECASE)
_QUOTED = re.compile(r"\b(?:\w+\.py)?::?\w*|\btest_\w+")


def found() -> Iterator[tuple[Path, int, str, str]]:
    """Every turn: its file, its line, itself, and what to write instead."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *READ]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in names:
        path = ROOT / name
        if not path.is_file() or any(path.match(pattern) or name.startswith("tests/") for pattern in PASSED_OVER):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield from ((path, number, turn, better) for turn, better in turns_in(line))


def turns_in(line: str) -> Iterator[tuple[str, str]]:
    """The turns of a line, each with what to write instead."""
    instead = list(TURNS.values())
    for match in _ANY.finditer(_QUOTED.sub("", line)):
        yield match[0], instead[int((match.lastgroup or "t0")[1:])]


if __name__ == "__main__":
    turns = list(found())
    for path, number, turn, better in turns:
        print(f"{path.relative_to(ROOT)}:{number}: {turn!r}: write {better}")
    sys.exit(1 if turns else 0)
