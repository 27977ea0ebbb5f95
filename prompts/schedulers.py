"""What a model's own scheduler means for its edits, as far as the API can read it: which one runs in the place of one
that is not handled, and what it cuts off.

A worker decides it by the same files and the same tables (`p2p.layouts.schedulers`, `Layout.cuts_off`).
"""

import json
from contextlib import suppress
from pathlib import Path

from jobs.catalogue import ModelDeclaration
from p2p.errors import UnsupportedModel
from p2p.layouts import LAYOUTS
from p2p.layouts.files import INDEX
from p2p.layouts.hub import fetched
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.schedulers import Substitution, substitution
from p2p.spec.inversions import CUTTING_OFF
from prompts.tokenization.opened import FILES

#: What reading a model's files fails with; workers say what is wrong with them.
_UNREADABLE = (UnsupportedModel, OSError, ValueError, LookupError, TypeError, AttributeError)
CONFIG = "scheduler_config.json"


def substitution_of(declaration: ModelDeclaration) -> Substitution | None:
    """What runs in the place of a model's own scheduler without being asked for.

    None also where the API cannot know: the model's files are not on this machine, or they are on the hub and the
    declaration names a tokenizer, so that nothing is fetched.
    """
    layout = LAYOUTS.get(declaration.family)
    if layout is None or declaration.scheduler is not None:
        return None
    with suppress(*_UNREADABLE):
        if (folder := _folder_of(declaration)) is not None:
            own = json.loads((folder / INDEX).read_text(encoding="utf-8"))["scheduler"][1]
            return substitution((str(own),), layout.kinds["scheduler"])
    return None


def cutting_off(declaration: ModelDeclaration) -> str | None:
    """The setting of a model's scheduler that cuts values off, so that no inversion may sample the source again.

    None also where the API cannot know, as of `substitution_of`. Workers refuse it then.
    """
    layout = LAYOUTS.get(declaration.family)
    if layout is None or layout.cuts_off is None:
        return None
    with suppress(*_UNREADABLE):
        if (folder := _folder_of(declaration)) is not None:
            said = json.loads((folder / layout.cuts_off / CONFIG).read_text(encoding="utf-8"))
            return next((setting for setting in CUTTING_OFF if said.get(setting)), None)
    return None


def _folder_of(declaration: ModelDeclaration) -> Path | None:
    """Where a model's small files are; None if they are on the hub and nothing is fetched."""
    files = ModelFiles.of(declaration)
    if files.revision is None:
        return Path(files.described_by)
    if declaration.tokenizer is not None:
        return None
    return fetched(files.described_by, files.revision, FILES)
