"""`python -m stack.install`: installs requirements/dev.txt into this Python's environment, with a CPU build of torch.

PyPI's torch for Linux brings CUDA along: 2.7 GB to download where the CPU build is 0.2 GB (torch 2.13.0). So the CPU
build is looked for where pip is set up to look, then at PyTorch's own index. Only where neither has it for this
Python and machine, PyPI's is taken. PyPI's torch for macOS has no CUDA, and nothing is looked for there.

Runs before anything is installed: the standard library only. TORCH_CPU_INDEX names a mirror of PyTorch's index.
"""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
INDEX = "https://download.pytorch.org/whl/cpu"
#: Seconds an index may stay silent. It is one page; a machine that is cut off from it must not wait long.
SILENCE = 5
#: Seconds after which pip is stopped while it looks: looking a name up has no limit of its own, and may take minutes.
PATIENCE = 30

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def main() -> int:
    """Installs everything; the exit status is pip's."""
    wanted = pinned()
    if sys.platform == "linux" and not _is_installed(wanted):
        build = f"{wanted}+cpu"
        if (source := cpu_source(build, os.environ.get("TORCH_CPU_INDEX") or INDEX)) is None:
            print(
                f"no CPU build of torch {wanted} for this Python is in reach: PyPI's is taken, with CUDA, 2.7 GB. "
                "TORCH_CPU_INDEX=https://... names a mirror of https://download.pytorch.org/whl/cpu",
                flush=True,
            )
        # Without what it needs, which comes from PyPI with the rest. Where this fails, for lack of space or of a
        # connection, it ends here: gigabytes more would not help.
        elif status := _pip("install", "--no-deps", *source, f"torch=={build}"):
            return status
    return _pip("install", "-r", str(REQUIREMENTS / "dev.txt"))


def pinned() -> str:
    """The version of torch that `requirements/worker-cpu.txt` asks for."""
    (version,) = re.findall(r"^torch==(\S+)", (REQUIREMENTS / "worker-cpu.txt").read_text(encoding="utf-8"), re.M)
    return version


def cpu_source(build: str, index: str) -> list[str] | None:
    """The options with which pip finds a build of torch.

    Args:
        build: its version, with the part behind the plus: `2.13.0+cpu`.
        index: where to ask when what pip is set up with does not have it.
    Returns:
        None if no index has it for this Python and machine, or the index does not answer.
    """
    if _offered(build):
        return []
    if _offered(build, "--index-url", index, "--timeout", str(SILENCE), "--retries", "0"):
        return ["--index-url", index]
    return None


def _offered(build: str, *options: str) -> bool:
    """Whether pip finds a build; it looks at the list of files alone, and through the proxy that it is set up with."""
    command = [*_PIP, "index", "versions", "torch", *options]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    (*_, versions) = ["", *re.findall(r"^Available versions: (.*)$", answer.stdout, re.M)]
    return build in versions.split(", ")


def _is_installed(wanted: str) -> bool:
    """Whether this environment has torch in the version that is wanted, for whatever processor it is made."""
    try:
        return installed_version("torch").partition("+")[0] == wanted
    except PackageNotFoundError:
        return False


def _pip(*arguments: str) -> int:
    return subprocess.run([*_PIP, "--quiet", *arguments], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
