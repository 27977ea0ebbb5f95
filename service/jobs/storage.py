"""Where artifacts are kept: one class over `obstore`, so that a directory, memory and S3 differ by a URL.

data/artifacts, file:///srv/artifacts   a local directory; the API serves it with URLs it signs itself
s3://bucket/prefix                      the storage signs its own URLs (credentials as `obstore` finds them)
"""

import re
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from service.jobs.errors import ArtifactNotFound, StorageUnavailable

#: What a key may look like. No segment begins with a dot, so none leads upwards and none is hidden.
_KEY = re.compile(r"jobs/[A-Za-z0-9_-]+(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")

CONTENT_TYPES = {".png": "image/png", ".npz": "application/octet-stream", ".json": "application/json"}


class ObjectStorage(Protocol):
    """Where artifacts lie: workers put them there, the API hands them out."""

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object, whole or not at all."""

    async def get(self, key: str) -> bytes:
        """The object; raises `ArtifactNotFound`."""

    def read(self, key: str) -> bytes:
        """The same for a worker, which may wait."""

    def presigned_url(self, key: str, expires_in: timedelta) -> str | None:
        """A URL under which the storage itself serves the object; None where it cannot."""

    async def check(self) -> None:
        """Raise `StorageUnavailable` where nothing can be written."""


class ObstoreStorage:
    """`ObjectStorage` over any store that `obstore` knows."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        # These two take no attributes and sign no URLs.
        self._is_plain = isinstance(store, LocalStore | MemoryStore)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        attributes = None if self._is_plain else {"Content-Type": content_type}
        try:
            obstore.put(self._store, checked_key(key), data, attributes=attributes)
        except (BaseError, OSError) as error:
            raise StorageUnavailable(f"take {key}") from error

    async def get(self, key: str) -> bytes:
        try:
            found = await obstore.get_async(self._store, checked_key(key))
            return bytes(await found.bytes_async())
        except FileNotFoundError as error:
            raise ArtifactNotFound from error
        except (BaseError, OSError) as error:
            raise StorageUnavailable("give the artifact") from error

    def read(self, key: str) -> bytes:
        try:
            return bytes(obstore.get(self._store, checked_key(key)).bytes())
        except FileNotFoundError as error:
            raise ArtifactNotFound from error
        except (BaseError, OSError) as error:
            raise StorageUnavailable("give the artifact") from error

    def presigned_url(self, key: str, expires_in: timedelta) -> str | None:
        return None if self._is_plain else obstore.sign(self._store, "GET", checked_key(key), expires_in)

    async def check(self) -> None:
        try:
            await obstore.put_async(self._store, "health", b"written by /readyz")
        except (BaseError, OSError) as error:
            raise StorageUnavailable("take a test object") from error


def open_storage(url: str) -> ObstoreStorage:
    """The storage that a setting names; a local directory is made where it is missing."""
    if (directory := local_directory(url)) is not None:
        return ObstoreStorage(LocalStore(directory, mkdir=True))
    return ObstoreStorage(from_url(url))


def local_directory(url: str) -> Path | None:
    """The directory that a storage setting names, absolute; None where it names a remote storage."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).absolute()
    return None if "://" in url else Path(url).absolute()


def checked_key(key: str) -> str:
    """The key, if it is one of an artifact; raises `ArtifactNotFound` for anything else, such as a way upwards."""
    if not _KEY.fullmatch(key):
        raise ArtifactNotFound
    return key


def content_type_of(key: str) -> str:
    """What an artifact is, by the end of its key."""
    return CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
