"""The example for workers on any cloud starts the worker that the tests start, with variables that it reads.

SkyPilot cannot be among the tests' packages: it wants an older uvicorn than the service runs on. Where it is there all
the same, its own reader reads the file: `pip install skypilot==0.14.1` into an environment of its own.
"""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from jobs.catalogue import load_catalogue
from p2p.version import VERSION
from stack.services import commands
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "skypilot" / "worker.yaml"
TASK = yaml.safe_load(FILE.read_text(encoding="utf-8"))
#: What SkyPilot documents of a task, as far as it is used here.
FIELDS = {"name", "resources", "envs", "secrets", "setup", "run"}
RUN = shlex.split(TASK["run"].replace("\\\n", " ").splitlines()[-1])


def passed() -> list[str]:
    """The variables that the container gets by their names."""
    given = [RUN[at + 1] for at, word in enumerate(RUN) if word == "--env"]
    return [name for name in given if "=" not in name]


def test_skypilot_reads_it():
    sky = pytest.importorskip("sky", reason="SkyPilot is not here")

    assert sky.Task.from_yaml_config({**TASK, "secrets": {"REDIS_URL": "x", "STORAGE_URL": "y"}}).run == TASK["run"]


def test_it_has_no_other_fields():
    assert set(TASK) == FIELDS


def test_it_starts_the_worker_that_the_tests_start():
    (command,) = (words for words in (list(each[1:]) for _, each in commands({"scenes": 1})) if "worker" in words)
    model = TASK["envs"]["MODEL"]

    assert RUN[RUN.index("$IMAGE") + 1 :] == ["python", *command[:-1], "$MODEL"]
    assert command[-1] == model
    assert model in load_catalogue(ROOT / TASK["envs"]["MODELS_FILE"])


def test_its_image_is_of_this_version():
    assert TASK["envs"]["IMAGE"].endswith(f"/p2p-edit-worker-gpu:{VERSION}")


def test_every_variable_is_a_setting_and_is_passed_on(monkeypatch):
    said = TASK["envs"] | TASK["secrets"]

    assert set(passed()) == set(said) - {"IMAGE", "MODEL"}
    assert {name.lower() for name in passed()} <= set(WorkerSettings.model_fields)
    for name in passed():
        monkeypatch.setenv(name, said[name] or "redis://127.0.0.1:6379/0")
    assert WorkerSettings().device == "cuda"


def test_no_secret_stands_in_it_or_among_arguments():
    assert TASK["secrets"] == {"REDIS_URL": None, "STORAGE_URL": None}
    assert re.findall(r"://[^\s/]*:[^\s/]*@", FILE.read_text(encoding="utf-8")) == []
    assert not [word for word in RUN if "$REDIS_URL" in word or "$STORAGE_URL" in word]


def test_the_container_is_confined_and_the_signal_reaches_it():
    assert RUN[:3] == ["exec", "docker", "run"]
    assert {"--read-only", "--cap-drop", "--tmpfs", "--security-opt"} <= set(RUN)
