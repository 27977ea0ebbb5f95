"""Which scheduler runs in the place of a model's own that is not handled, as far as the API can read it.

A worker decides it by the same files and the same table (`p2p.layouts.schedulers`).
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
from prompts.tokenization.opened import FILES


def substitution_of(declaration: ModelDeclaration) -> Substitution | None:
    """What runs in the place of a model's own scheduler without being asked for.

    None also where the API cannot know: the model's files are not on this machine, or they are on the hub and the
    declaration names a tokenizer, so that nothing is fetched.
    """
    layout, files = LAYOUTS.get(declaration.family), ModelFiles.of(declaration)
    if layout is None or declaration.scheduler is not None:
        return None
    folder = Path(files.described_by)
    with suppress(UnsupportedModel, OSError, ValueError, LookupError, TypeError, AttributeError):
        if files.revision is not None:
            if declaration.tokenizer is not None:
                return None
            folder = fetched(files.described_by, files.revision, FILES)
        own = json.loads((folder / INDEX).read_text(encoding="utf-8"))["scheduler"][1]
        return substitution((str(own),), layout.kinds["scheduler"])
    return None
