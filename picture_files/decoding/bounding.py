"""How a process that reads a stranger's file bounds itself, and says that it refuses one."""

import json
import math
import resource
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeVar

from picture_files.decoding.opening import Refused

Read = TypeVar("Read")


def bound(limits: Mapping[str, Any]) -> None:
    """Have the kernel bound this process, and every child of it, in `seconds` of a core and bytes of `memory`."""
    # The seconds are for the file. A busy machine can take as many for the start of this process alone.
    seconds = math.ceil(time.process_time()) + limits["seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def said_by(read: Callable[[], Read], out: BinaryIO) -> Read | None:
    """What reading a file gives; None if it is refused, which is said then."""
    try:
        return read()
    except Refused as refusal:
        answer = {"code": refusal.code, "detail": str(refusal)}
    except MemoryError:
        answer = {"code": "image_too_heavy", "detail": "reading it takes more memory than it may: save it plainly"}
    out.write(json.dumps(answer).encode() + b"\n")
    return None
