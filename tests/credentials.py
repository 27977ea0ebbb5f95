"""A chain of certificates made on the fly, and what a C2PA reader says of a file that was signed with it."""

import io
import json
from functools import cache
from typing import Any

from c2pa import Context, Reader

from tools.certificates import SIGNER, Chain
from tools.certificates import made_chain as _made

__all__ = ["SIGNER", "Chain", "active", "made_chain", "read_credentials"]

#: One for all tests of a process.
made_chain = cache(_made)


def read_credentials(data: bytes, content_type: str, chain: Chain | None = None) -> tuple[str | None, dict[str, Any]]:
    """The state and the manifest store of a file; trusted where its chain ends at that of `chain`."""
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    if chain is not None:
        settings["trust"] = {"user_anchors": chain.root.decode()}
    with Reader(content_type, io.BytesIO(data), context=Context.from_dict(settings)) as reader:
        return reader.get_validation_state(), json.loads(reader.json())


def active(store: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the file itself."""
    return store["manifests"][store["active_manifest"]]
