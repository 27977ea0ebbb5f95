"""The files of our HTML pages as they lie on disk, and the headers that keep each page to itself.

A page runs no script but its own and is shown in no frame: its Content-Security-Policy says so, and a test holds every
HTML answer of the API to it. What is written in a prompt or in an answer can then not run, and no other page can lay
itself over this one.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from fastapi import Request, Response

from service.edits.following import is_known

CONTENT_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
#: A file that lies packed is served under the name before this.
PACKED = ".gz"
#: An address of ours in HTML.
_LINK = re.compile(rb'((?:href|src)=")/')


def page_policy(*images: str) -> str:
    """The Content-Security-Policy of a page: its own files, requests to the API beside it, and pictures.

    Args:
        images: where pictures may come from beside the page's own origin, as CSP names sources.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            " ".join(("img-src 'self'", *images)),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


@dataclass(frozen=True)
class PageFile:
    """One file of a page.

    Attributes:
        tag: its entity tag (RFC 9110, 8.8.3), by its content.
        packed: the same content by gzip, where it lies so; None elsewhere.
    """

    content: bytes
    media_type: str
    tag: str
    packed: bytes | None = None

    @classmethod
    def read(cls, path: Path, prefix: str = "") -> "PageFile":
        """A file of a type that browsers get; raises `KeyError` for any other.

        Args:
            prefix: put before the addresses in HTML that begin at the root (`layers.prefixed`).
        """
        content, name = path.read_bytes(), Path(name_of(path))
        packed = content if path.suffix == PACKED else None
        content = content if packed is None else gzip.decompress(packed)
        if name.suffix == ".html" and prefix:
            content = _LINK.sub(rb"\1" + escape(prefix).encode() + b"/", content)
        return cls(content, CONTENT_TYPES[name.suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"', packed)

    def answer(self, request: Request, headers: Mapping[str, str]) -> Response:
        """The file, or 304 where the browser has it.

        Asked for again each time: after an upgrade no old module meets a new one.
        """
        packed = self.packed if "gzip" in encodings_of(request) else None
        # Of another encoding it is another representation, with a tag of its own.
        tag = self.tag if packed is None else f'{self.tag[:-1]}-gzip"'
        said = {
            "ETag": tag,
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            **({"Vary": "Accept-Encoding"} if self.packed else {}),
            **headers,
        }
        if is_known(tag, request.headers.get("If-None-Match", "")):
            return Response(status_code=304, headers=said)
        if packed is not None:
            return Response(packed, media_type=self.media_type, headers={**said, "Content-Encoding": "gzip"})
        return Response(self.content, media_type=self.media_type, headers=said)


def name_of(path: Path) -> str:
    """The name under which a file is served."""
    return path.name.removesuffix(PACKED)


def encodings_of(request: Request) -> Sequence[str]:
    """The codings that a client takes, without those it refuses (`;q=0`)."""
    found = []
    for each in request.headers.get("Accept-Encoding", "").split(","):
        coding, _, weight = each.partition(";")
        if not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight, re.IGNORECASE):
            found.append(coding.strip().lower())
    return found
