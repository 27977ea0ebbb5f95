"""Health checks of containers, run when they are due: what systemd's timers do for podman elsewhere."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.compose.engine import PROJECT, Engine

#: Seconds between two looks at what is due; the shortest interval of the compose file.
LOOK = 2.0


@contextmanager
def beating(engine: Engine) -> Iterator[None]:
    """Runs the checks within the block."""
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(engine, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _beat(engine: Engine, over: threading.Event) -> None:
    due: dict[str, float] = {}
    while not over.wait(LOOK):
        # A container may go between two commands.
        with suppress(RuntimeError, subprocess.SubprocessError, ValueError):
            label = f"label=com.docker.compose.project={PROJECT}"
            ids = engine("ps", "--quiet", "--filter", label).split()
            for each in json.loads(engine("inspect", *ids)) if ids else ():
                check, now = each["Config"].get("Healthcheck"), time.monotonic()
                if check and now >= due.get(each["Id"], 0):
                    engine("healthcheck", "run", each["Id"], check=False)
                    healthy = each["State"].get("Health", each["State"].get("Healthcheck", {})).get("Status")
                    # Until it is healthy, something waits for it.
                    due[each["Id"]] = now + (check["Interval"] / 1e9 if healthy == "healthy" else LOOK)
