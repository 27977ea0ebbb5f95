"""`python -m tools.error_codes`: the table of error codes, `process/errors.toml`, for docs/errors.md and the clients.

With --write it renews the tables of docs/errors.md, `p2p_client/codes.py` and `clients/typescript/src/codes.ts`;
without, it prints the tables. Then `make openapi` renews openapi.yaml.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from process.error_codes import ErrorCode, Place, codes_at
from tools.markdown import put, table

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "errors.md"
PART = "codes"

#: What a program meets, and what each part of the document says first.
_PARTS: Mapping[Place, tuple[str, str]] = {
    Place.ANSWER: ("Answers", "`code` of a problem document."),
    Place.FIELD: (
        "Fields",
        "`errors[].code`: what is wrong with the field at `pointer`. A code that is not here is pydantic's own type of "
        "error.",
    ),
    Place.NOTICE: (
        "Notices",
        "`notices[].code` of an edit that was accepted: what its sender may not expect, about the field at `pointer`.",
    ),
    Place.FAILURE: ("Edits that failed", "`error.code` of an edit that ended as `failed`."),
    Place.DELIVERY: ("Webhooks", "`error` of an attempt to send a webhook that got no answer."),
    Place.START: ("Programs that do not start", "The program says the code's message and ends."),
    Place.LIBRARY: ("The library", "`code` of a `P2PError` that only callers of the library meet."),
}

#: The client's types: their names, and which codes they are.
_TYPES: Mapping[str, tuple[Place, str]] = {
    "AnswerCode": (Place.ANSWER, "`code` of a problem document."),
    "FieldCode": (Place.FIELD, "`code` of a problem document's `errors`, or one of pydantic's types of errors."),
    "NoticeCode": (Place.NOTICE, "`code` of an edit's `notices`."),
    "FailureCode": (Place.FAILURE, "`code` of a failed edit's `error`."),
}
_MADE = "Written by `python -m tools.error_codes --write` from process/errors.toml. Later versions may add codes."


def document() -> str:
    """The tables of docs/errors.md."""
    return "".join(
        f"\n## {heading}\n\n{text}\n\n" + _table(codes_at(place), with_status=place is Place.ANSWER)
        for place, (heading, text) in _PARTS.items()
    )


def _table(rows: list[ErrorCode], *, with_status: bool) -> str:
    if with_status:
        ordered = sorted(rows, key=lambda row: (row.status or 0, row.code))
        return table(
            ("status", "code", "what is wrong", "what to do"),
            [(row.status, f"`{row.code}`", row.title, row.do) for row in ordered],
        )
    return table(("code", "what is wrong", "what to do"), [(f"`{row.code}`", row.title, row.do) for row in rows])


def python_types() -> str:
    """`p2p_client/codes.py`."""
    types = "".join(
        f"\n#: {meaning}\n{name} = Literal[\n{''.join(_line(row, ',') for row in codes_at(place))}]\n"
        for name, (place, meaning) in _TYPES.items()
    )
    made = _MADE.replace("errors.toml. ", "errors.toml.\n\n")
    return f'"""The codes of errors, as types. {made}\n"""\n\nfrom typing import Literal\n{types}'


def typescript_types() -> str:
    """`clients/typescript/src/codes.ts`."""
    types = "".join(
        f"\n/** {meaning} */\nexport type {name} =\n{''.join(_line(row, '', '| ') for row in codes_at(place))[:-1]};\n"
        for name, (place, meaning) in _TYPES.items()
    )
    return f"/** The codes of errors, as types. {_MADE} */\n{types}"


def _line(row: ErrorCode, after: str, before: str = "") -> str:
    indent = "  " if before else "    "
    return f'{indent}{before}"{row.code}"{after}\n'


#: The files that are written whole.
CLIENTS = {
    ROOT / "p2p_client" / "codes.py": python_types,
    ROOT / "clients" / "typescript" / "src" / "codes.ts": typescript_types,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="renew docs/errors.md and the clients' lists")
    if not parser.parse_args().write:
        print(document(), end="")
        return
    put(DOCUMENT, PART, document())
    for file, text in CLIENTS.items():
        file.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
