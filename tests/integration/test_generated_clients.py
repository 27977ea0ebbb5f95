"""Clients that others' generators make of openapi.yaml: they compile, and run a job against the real service."""

import json
import shutil
import subprocess
import venv
from base64 import b64encode
from pathlib import Path

import pytest

from tests.integration.node import ROOT, node
from tests.integration.test_photos import file_of
from tests.patience import PATIENCE
from tests.unit.worker.test_fitting import slope

HERE = Path(__file__).with_name("generated")
#: What each program prints: it edits, is refused, and sends a picture.
TOLD = {"status": "succeeded", "names": ["source.png", "edit-1.png"], "code": "unknown_model", "width": 48}


@pytest.fixture
def folder(tmp_path) -> Path:
    """The programs, and the description that their clients are made of."""
    made = tmp_path / "generated"
    shutil.copytree(HERE, made, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "openapi.yaml", made)
    return made


@pytest.fixture
def photo() -> str:
    """A picture, as an argument of a program."""
    return b64encode(file_of(slope((48, 48)))).decode()


def ran(*command: str, cwd: Path) -> str:
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 0, f"{command}:\n{run.stdout}\n{run.stderr}"
    return run.stdout


def test_the_typescript_of_hey_api_compiles_and_runs_a_job(served, folder, photo):
    node("npm", "ci", cwd=folder)
    node("npx", "openapi-ts", cwd=folder)
    node("npx", "tsc", "-p", ".", cwd=folder)

    assert json.loads(node("node", "out/job.js", served.url, photo, cwd=folder)) == TOLD


def test_the_python_of_openapi_python_client_compiles_and_runs_a_job(served, folder, photo):
    # Of its own: it pins packages that this project has in other versions.
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    ran(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt", cwd=folder)

    (folder / "client").mkdir()
    said = ran(
        *(python, "-m", "openapi_python_client", "generate", "--path", "openapi.yaml", "--meta", "none"),
        *("--output-path", "client/generated", "--config", "generator.yaml"),
        cwd=folder,
    )

    # It says so where it leaves an operation or a schema out.
    assert "WARNING" not in said.upper(), said
    ran(python, "-m", "compileall", "-q", "client", cwd=folder)
    shutil.move(folder / "job.py", folder / "client")
    assert json.loads(ran(python, "client/job.py", served.url, photo, cwd=folder)) == TOLD
