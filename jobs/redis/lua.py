"""What Redis does in one turn: Lua in files of its own, so that editors and linters read it.

Times are Redis's own (`TIME`), so that no two machines need to agree on one. Values of a record are JSON texts, and are
compared as such. Runs on Redis 6.2 and later.
"""

import re
from functools import cache
from pathlib import Path

#: What scripts share: `keep.lua` (times, the life of an index, events), `push.lua` (a message into its queue)
#: and `fair.lua` (whose turn it is).
SHARED = Path(__file__).with_name("lua")
_NEEDS = re.compile(r"^-- needs: (.+)$", re.MULTILINE)


@cache
def lua(name: str, folder: Path = SHARED) -> str:
    """The text of a script, after those of `SHARED` that its line `-- needs:` names.

    Args:
        name: of a file in `folder`, without `.lua`.
    """
    text = (folder / f"{name}.lua").read_text(encoding="utf-8")
    needs = _NEEDS.search(text)
    shared = needs[1].split() if needs else []
    return "\n".join([*((SHARED / f"{each}.lua").read_text(encoding="utf-8") for each in shared), text])
