"""`admin models check` as a process."""

import os
import subprocess
import sys
from pathlib import Path

from tests.cached_hub import ROOT


def admin(models_file: Path) -> subprocess.CompletedProcess:
    """The command, where torch cannot be imported and there is no Redis."""
    code = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = sys.modules["diffusers"] = None
sys.argv = ["admin", "models", "check"]
from admin.__main__ import main
main()
"""
    env = {**os.environ, "MODELS_FILE": str(models_file), "REDIS_URL": "redis://127.0.0.1:1/0"}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
