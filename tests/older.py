"""The version before this one, as files: what an installation still runs while it is upgraded."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

#: The last state of `main` that was accepted before installations of several cells: the commit that this work began
#: from. Nothing was released under a tag so far, so there is no later state that anybody can have installed.
OLDER = "37b5403c69b481db0578c006b7427edb01724b28"
ROOT = Path(__file__).parents[1]


def older_tree(folder: Path) -> Path:
    """The files of that commit, unpacked into a folder; run them with it as the working directory.

    A shallow clone is given the one commit from where it was cloned. Where that is not to be had the test skips, and on
    a machine that checks changes (`CI` is set) it fails: that must not pass by skipping.
    """
    if not _is_there() and not (_git("fetch", "--quiet", "--depth=1", "origin", OLDER) and _is_there()):
        reason = f"the older version is commit {OLDER}, which this clone lacks: git fetch --unshallow"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    packed = subprocess.run(["git", "archive", OLDER], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _is_there() -> bool:
    return _git("cat-file", "-e", f"{OLDER}^{{commit}}")


def _git(*arguments: str) -> bool:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, timeout=60).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
