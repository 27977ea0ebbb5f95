"""The C2PA credentials of a stranger's file, kept as an ingredient of what will be made of its picture.

They are signed for the file's own bytes, which are not kept. So they are checked while the file is there, and an
archive holds them with what was found: `worker.credentials` makes it the parent of each edit's credentials.
"""

import io
import json
import os
from collections.abc import Mapping
from typing import Any

from jobs.provenance import PARENT

#: Where C2PA's library looks for credentials, by what a file begins with.
_KINDS: Mapping[bytes, str] = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
#: What JUMBF (ISO 19566-5), which credentials are kept in, and C2PA call themselves in a file.
_NAMES = (b"jumb", b"c2pa")
#: Nothing is fetched from a network, whatever the file names there, and no certificate is asked for.
READING: Mapping[str, Any] = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


def may_have(data: bytes) -> bool:
    """Whether a file may have credentials: cheap, for nearly all files have none."""
    return all(name in data for name in _NAMES)


def kind_of(data: bytes) -> str:
    """The type of a file, for C2PA's library."""
    found = next((kind for head, kind in _KINDS.items() if data.startswith(head)), None)
    return found or ("image/avif" if data[8:12] in (b"avif", b"avis") else "image/heic")


def archived(data: bytes) -> bytes:
    """The credentials of a file as an ingredient's archive; empty where it has none that can be read."""
    from c2pa import Builder, C2paError, Context, Reader

    kind, context, file = kind_of(data), Context.from_dict(dict(READING)), io.BytesIO()
    try:
        # It has some: an ingredient may be made of any file.
        Reader(kind, io.BytesIO(data), context=context).close()
        with Builder.from_json("{}", context=context) as builder:
            said = {"title": "photo", "relationship": "parentOf", "label": PARENT}
            builder.add_ingredient_from_stream(json.dumps(said), kind, io.BytesIO(data))
            builder.write_ingredient_archive(PARENT, file)
    except C2paError:
        return b""
    return file.getvalue()


def archived_apart(data: bytes) -> bytes:
    """The same by a child of this process, under the same limits of its own.

    The library takes memory that decoding the picture needs; and what a file does to it ends the child alone.
    """
    if not may_have(data):
        return b""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            with os.fdopen(write, "wb") as out:
                out.write(archived(data))
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as found:
        archive = found.read()
    return archive if os.waitpid(child, 0)[1] == 0 else b""
