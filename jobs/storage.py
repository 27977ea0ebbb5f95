"""Where artifacts are kept: one class over `obstore`, so that a directory, memory and S3 differ by a URL.

    data/artifacts, file:///srv/artifacts            a local directory; the API serves it with URLs it signs itself
    s3://bucket/prefix                               S3, region and credentials as AWS's tools find them
    s3+http://KEY:SECRET@host:9000/bucket/prefix     any server that speaks S3; s3+https:// likewise

The last takes `?region=`, `?session_token=` of temporary credentials, and `?public=https://files.example.com`: where
clients reach the storage, if not where the workers do; URLs are signed for that address. s3:// takes the first two.
Key, secret, prefix and options are percent-encoded: `jobs.storage_url`.
"""

import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import quote, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store, from_url

from jobs.errors import ArtifactNotFound, InvalidStorage, StorageUnavailable
from jobs.storage_url import NEEDED, OPTIONS, S3Address, options_of, prefix_of, s3_address, split
from process.masked import masked

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, RetryConfig

#: What a key may look like. No segment begins with a dot, so none leads upwards and none is hidden.
_KEY = re.compile(r"(jobs|images|inversions)/[A-Za-z0-9_-]+(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_PREFIX = re.compile(r"jobs/[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)?|(images|inversions)/[A-Za-z0-9_-]+")
#: A URL of a storage whose scheme has lost its slashes: as a path it would be a directory of that name.
_SLASHES = re.compile(r"(s3|s3\+https?|s3a|gs|az|azure|adl|abfss?|https?|memory):(?!//)", re.IGNORECASE)
#: What `obstore` knows and no service can be run on.
_NOT_SHARED = {
    "memory": "what is kept in memory no other process can read; give a directory",
    "http": f"a web server takes no artifacts; an S3 server is {NEEDED}",
    "https": f"a web server takes no artifacts; an S3 server is {NEEDED.replace('http', 'https')}",
}
#: An object that is not taken is sent again for so long, as are reads; then it is the caller's.
PATIENCE = timedelta(seconds=40)
#: How long one request may take; a picture on a slow line needs some of it.
_TIMEOUT = timedelta(seconds=20)

#: Bytes of an object that are held for one reader, who may be slow.
PIECE = 65_536
#: Seconds for which a storage that took a test object is believed to take others. Anybody may ask for a check, and each
#: would write otherwise.
CHECKED = 30.0

#: By the end of a key. Nothing that a browser would run is among them, and no SVG, which holds scripts: an artifact
#: lies beside the pages and may have been made from what a stranger sent.
CONTENT_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".npz": "application/octet-stream",
    ".json": "application/json",
}


class ObjectStorage(Protocol):
    """Where artifacts lie: workers put them there, the API hands them out."""

    def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> None:
        """Store an object, whole or not at all; of a file, what follows from where it stands.

        Raises:
            ValueError: the content type is another than that of the key's end.
        """

    async def opened(self, key: str) -> tuple[int, AsyncIterator[bytes]]:
        """An object's size, and the object in pieces of `PIECE` bytes, each read when it is asked for.

        Raises:
            ArtifactNotFound: there is none; while its pieces are read, there is none any more.
            StorageUnavailable: it cannot be had; also while its pieces are read.
        """

    def read(self, key: str) -> bytes:
        """The whole object, for a worker, which may wait; raises `ArtifactNotFound`."""

    def remove_all(self, prefix: str) -> None:
        """Remove every object under a prefix; what is not there is removed already."""

    def remove(self, key: str) -> None:
        """Remove one object; what is not there is removed already."""

    def presigned_url(self, key: str, expires_in: timedelta) -> str | None:
        """A URL under which the storage itself serves the object; None if it cannot."""

    async def check(self) -> None:
        """Raise `StorageUnavailable` where nothing can be written; a check that went well may stand for a while."""


class ObstoreStorage:
    """`ObjectStorage` over any store that `obstore` knows."""

    def __init__(
        self, store: ObjectStore, public: ObjectStore | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._checked_until = clock, float("-inf")
        self._store, self._public = store, public or store
        # These two take no attributes and sign no URLs.
        self._is_plain = isinstance(store, LocalStore | MemoryStore)

    def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> None:
        if content_type != content_type_of(checked_key(key)):
            raise ValueError(f"{key} would be stored as {content_type}: by its end it is {content_type_of(key)}")
        attributes = None if self._is_plain else {
            "Content-Type": content_type, "Content-Disposition": disposition_of(key),
        }  # fmt: skip
        try:
            obstore.put(self._store, key, data, attributes=attributes)
        except (BaseError, OSError) as error:
            raise StorageUnavailable(f"take {key}") from error

    async def opened(self, key: str) -> tuple[int, AsyncIterator[bytes]]:
        try:
            size = (await obstore.head_async(self._store, checked_key(key)))["size"]
        except FileNotFoundError as error:
            raise ArtifactNotFound from error
        except (BaseError, OSError) as error:
            raise StorageUnavailable("give the artifact") from error
        return size, self._pieces(key, size)

    async def _pieces(self, key: str, size: int) -> AsyncIterator[bytes]:
        # By ranges and not as one stream, which would hold a file open for as long as its reader is slow.
        for start in range(0, size, PIECE):
            try:
                yield bytes(await obstore.get_range_async(self._store, key, start=start, end=min(start + PIECE, size)))
            except FileNotFoundError as error:
                raise ArtifactNotFound from error
            except (BaseError, OSError) as error:
                raise StorageUnavailable("give the rest of the artifact") from error

    def read(self, key: str) -> bytes:
        try:
            return bytes(obstore.get(self._store, checked_key(key)).bytes())
        except FileNotFoundError as error:
            raise ArtifactNotFound from error
        except (BaseError, OSError) as error:
            raise StorageUnavailable("give the artifact") from error

    def remove_all(self, prefix: str) -> None:
        try:
            for batch in obstore.list(self._store, f"{checked_prefix(prefix)}/"):
                obstore.delete(self._store, [found["path"] for found in batch])
        except FileNotFoundError:
            return  # a directory that another reaper was faster with
        except (BaseError, OSError) as error:
            raise StorageUnavailable(f"remove {prefix}") from error

    def remove(self, key: str) -> None:
        try:
            obstore.delete(self._store, checked_key(key))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise StorageUnavailable(f"remove {key}") from error

    def presigned_url(self, key: str, expires_in: timedelta) -> str | None:
        return None if self._is_plain else obstore.sign(self._public, "GET", checked_key(key), expires_in)

    async def check(self) -> None:
        if self._clock() < self._checked_until:
            return
        try:
            await obstore.put_async(self._store, "health", b"written by /readyz")
        except (BaseError, OSError) as error:
            raise StorageUnavailable("take a test object") from error
        self._checked_until = self._clock() + CHECKED


def open_storage(url: str, *, patience: timedelta = PATIENCE) -> ObstoreStorage:
    """The storage that a setting names; a local directory is made where it is missing.

    Args:
        patience: how long a storage elsewhere is asked again when it fails.
    Raises:
        InvalidStorage: the setting names none.
    """
    if not url.strip():
        raise InvalidStorage("it is empty; give a directory, s3://BUCKET/PREFIX or " + NEEDED)
    if _SLASHES.match(url):
        raise InvalidStorage(f"{masked(url)!r} has no // after its scheme")
    if (directory := local_directory(url)) is not None:
        return ObstoreStorage(_local(url, directory))
    if url.startswith(("s3+http://", "s3+https://")):
        return _s3(s3_address(url), patience)
    return ObstoreStorage(_known(url, patience))


def _local(url: str, directory: Path) -> LocalStore:
    parts = urlsplit(url)
    misplaced = parts.netloc not in ("", "localhost") or parts.query or parts.fragment
    # Without a path it would be the directory that the process was started in.
    if parts.scheme == "file" and (misplaced or not parts.path.startswith("/")):
        raise InvalidStorage(f"{url!r} must be a directory of this machine: file:///DIRECTORY, with three slashes")
    try:
        return LocalStore(directory, mkdir=True, automatic_cleanup=True)
    except (BaseError, OSError, ValueError) as error:
        raise InvalidStorage(f"the directory {str(directory)!r} cannot be made or read") from error


def _known(url: str, patience: timedelta) -> ObjectStore:
    """A storage that `obstore` knows by its URL; raises `InvalidStorage`."""
    parts = split(url)
    if parts.scheme in _NOT_SHARED:
        raise InvalidStorage(f"{masked(url)!r}: {_NOT_SHARED[parts.scheme]}")
    known = {name: OPTIONS[name] for name in ("region", "session_token")} if parts.scheme == "s3" else {}
    options, prefix = options_of(url, parts, known), prefix_of(url, parts.path.strip("/"))
    if parts.scheme in {"s3", "s3a", "gs"} and parts.username is not None:
        raise InvalidStorage(f"{masked(url)!r} takes its credentials from the environment; with credentials: {NEEDED}")
    if not parts.hostname:
        raise InvalidStorage(f"the bucket is missing in {masked(url)!r}; give {parts.scheme}://BUCKET/PREFIX")
    place = f"{parts.scheme}://{parts.netloc}/{quote(prefix)}"
    try:
        return from_url(
            place, retry_config=_retries(patience), client_options={"timeout": min(_TIMEOUT, patience)}, **options
        )
    except (BaseError, ValueError, TypeError) as error:
        raise InvalidStorage(
            f"{masked(url)!r} is neither a directory nor the URL of a storage that is known"
        ) from error


def _retries(patience: timedelta) -> "RetryConfig":
    # Waits are drawn between the first and twice the last one: eight of them were over in three seconds. So the time
    # alone decides.
    backoff: BackoffConfig = {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=3), "base": 2}
    return {"max_retries": 1000, "retry_timeout": patience, "backoff": backoff}


def _s3(address: S3Address, patience: timedelta) -> ObstoreStorage:
    def at(endpoint: str) -> S3Store:
        return S3Store(
            address.bucket,
            # Decoded: `obstore` encodes it where it asks.
            prefix=address.prefix or None,
            endpoint=endpoint,
            region=address.region or "us-east-1",
            access_key_id=address.key,
            secret_access_key=address.secret,
            **({"session_token": address.session_token} if address.session_token else {}),
            virtual_hosted_style_request=False,
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": min(_TIMEOUT, patience)},
            retry_config=_retries(patience),
        )

    try:
        return ObstoreStorage(at(address.endpoint), at(address.public))
    except (BaseError, ValueError) as error:
        raise InvalidStorage(f"no storage can be opened at {address.endpoint}") from error


def local_directory(url: str) -> Path | None:
    """The directory that a storage setting names, absolute; None if it names a remote storage."""
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path)).absolute()
    return None if "://" in url else Path(url).absolute()


def checked_key(key: str) -> str:
    """The key, if it is one of an artifact; raises `ArtifactNotFound` for anything else, such as a way upwards."""
    if not _KEY.fullmatch(key):
        raise ArtifactNotFound
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix, if it is one of a job, an execution, an image or an inversion: nothing wider is ever removed."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is the place of no job, execution, image or inversion")
    return prefix


def content_type_of(key: str) -> str:
    """What an artifact is, by the end of its key."""
    return CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")


def disposition_of(key: str) -> str:
    """What a browser does with an artifact that is opened by itself (RFC 6266): it shows pictures, and saves the rest.

    A key has letters, digits and `._-` alone, so its name needs no quoting.
    """
    shown = content_type_of(key).startswith("image/")
    return f'{"inline" if shown else "attachment"}; filename="{PurePosixPath(key).name}"'
