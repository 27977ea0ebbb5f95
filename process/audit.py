"""What somebody may have to account for, as lines that are only ever added: keys, erasures, refusals, admin commands.

The setting `AUDIT_LOG` names the file. Each event is one JSON object, written by one call to a file that is opened for
appending, so that lines of several processes do not mix. It holds ids, and never a prompt, a subject or a secret.
Nothing here changes or removes a line: to keep others from it is the system's part (`chattr +a`, a log collector).
"""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

Event = Literal[
    "admin_command",
    "key_created",
    "key_imported",
    "key_revoked",
    "edit_erased",
    "image_erased",
    "inversion_erased",
    "subject_erased",
    "moderation_refused",
]


class AuditUnavailable(Exception):
    """The file cannot be added to."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"AUDIT_LOG={str(path)!r} cannot be added to: {reason}; name a file that this user may write")


class Audit:
    """Notes events.

    Args:
        path: of the file; nothing is noted if it is None.
    Raises:
        AuditUnavailable: it cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        if path is not None:
            try:
                os.close(self._opened(path))
            except OSError as error:
                raise AuditUnavailable(path, error.strerror or error) from error

    def note(self, event: Event, **said: object) -> None:
        """Add a line; one that cannot be added goes to the program's own log, as an error."""
        if self._path is None:
            return
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **said})
        try:
            # Opened for each line: a file that was moved away is made anew.
            descriptor = self._opened(self._path)
            try:
                os.write(descriptor, line.encode() + b"\n")
            finally:
                os.close(descriptor)
        except OSError:
            log.exception("the audit log did not take this line: %s", line)

    @staticmethod
    def _opened(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


#: Where nothing is to be noted.
NO_AUDIT = Audit()
