"""URLs that work for a while: an HMAC over a key and the second at which it ends.

Used where the storage cannot sign for itself (a directory). Nothing is kept per URL: what expires is the signature.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

from jobs.storage import checked_key, local_directory

#: Beside the artifacts, because it is worth as much as they are; begins with a dot, which no artifact's key may.
SECRET_FILE = ".artifact-secret"


class UrlSigner:
    """Makes and checks the URLs of artifacts that the API serves itself."""

    def __init__(self, secret: str, base_url: str, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._base_url = base_url
        self._clock = clock

    def url(self, key: str, expires_in: timedelta, *, once: bool = False) -> str:
        """A URL under which the API serves `key` until `expires_in` from now; `once` has it removed then."""
        expires = str(int(self._clock() + expires_in.total_seconds()))
        query = urlencode({"expires": expires, "signature": self._signature(checked_key(key), expires, once)})
        query += "&once=true" if once else ""
        return f"{self._base_url}/v1/artifacts/{quote(key)}?{query}"

    def is_genuine(self, key: str, expires: str, signature: str, *, once: bool = False) -> bool:
        """Whether this signer made the URL for this key and this end."""
        # Compared as bytes: `compare_digest` refuses text beyond ASCII, and this text is a stranger's.
        return hmac.compare_digest(self._signature(key, expires, once).encode(), signature.encode("utf-8", "replace"))

    def is_over(self, expires: str) -> bool:
        """Whether the end of a genuine URL has passed."""
        return self._clock() >= int(expires)

    def _signature(self, key: str, expires: str, once: bool) -> str:
        tail = "\nonce" if once else ""
        message = f"{expires}\n{key}{tail}".encode("utf-8", "replace")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()


def artifact_secret(given: str, storage_url: str) -> str:
    """The secret that was set, or the one kept with the artifacts, which is made when first needed.

    Several API processes over one directory so agree on it, and URLs outlive a restart.
    """
    directory = local_directory(storage_url)
    if given or directory is None:
        return given or secrets.token_hex(32)
    directory.mkdir(parents=True, exist_ok=True)
    return _kept_secret(directory / SECRET_FILE)


def _kept_secret(path: Path) -> str:
    # Written aside and linked: another process sees no secret or a whole one, and the first one stays.
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
