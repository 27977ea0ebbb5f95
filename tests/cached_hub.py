"""The Hugging Face hub's cache, made here: what a machine has that fetched a model once and is offline now."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(cache: Path, model: str, folder: Path, *, branch: str = "main") -> None:
    """Puts a model's folder into a cache as huggingface_hub lays it out, at `COMMIT` and under a branch's name."""
    place = cache / f"models--{model.replace('/', '--')}"
    shutil.copytree(folder, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / branch).write_text(COMMIT)


def python(code: str, cache: Path, **environment: str) -> subprocess.CompletedProcess:
    """Runs a program that can reach the cache alone; huggingface_hub reads its settings when it is imported."""
    env = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
