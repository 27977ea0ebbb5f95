"""Which cell an id is of: `e1-4f0c...`, where `e1` is the cell's name and the rest the id itself (docs/cells.md).

An id without a name is one that an installation without cells made; it stays valid.
"""

import re

#: What a cell may be called: short, for it stands in every id, and without what ids or hosts have other uses for.
CELL = r"[a-z][a-z0-9]{0,15}"
#: Before an id of ours.
PREFIX = rf"(?:{CELL}-)?"
_OURS = re.compile(rf"(?:({CELL})-)?(?:img_)?[0-9a-f]{{32}}")


def in_cell(cell: str, bare: str) -> str:
    """The id of something that a cell has made; `cell` is "" where there are none."""
    return f"{cell}-{bare}" if cell else bare


def cell_of(made: str) -> str | None:
    """The cell that an id names: "" for one without a cell, None for what is no id of ours."""
    found = _OURS.fullmatch(made)
    return None if found is None else found[1] or ""
