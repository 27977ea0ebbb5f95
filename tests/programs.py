"""A program of this repository that a test runs to its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.patience import GRACE, PATIENCE

ROOT = Path(__file__).parents[1]


def printed(module: str, *arguments: str, settings: Mapping[str, str] | None = None) -> str:
    """What `python -m MODULE` prints. It must end with status 0, and within `2 * PATIENCE`.

    One that hangs says where and is killed with all that it has started: those processes hold the pipes that are read
    here, and the test would wait for them without an end.
    """
    command = [sys.executable, "-X", "faulthandler", "-m", module, *arguments]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(settings or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            out, said = program.communicate(timeout=2 * PATIENCE)
        except subprocess.TimeoutExpired:
            program.send_signal(signal.SIGABRT)  # Python then prints where each of its threads is
            with suppress(subprocess.TimeoutExpired):
                program.wait(GRACE)
            os.killpg(program.pid, signal.SIGKILL)
            raise AssertionError(f"{module} hangs: {program.communicate()[1][-5000:]}") from None
    assert program.returncode == 0, out[-5000:] + said[-5000:]
    return out
