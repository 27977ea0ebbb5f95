"""docs/tutorial.md, pasted as a new user would, into a clone whose environment is set up already."""

import shutil
import sys
import urllib.request
from pathlib import Path

import pytest

from stack.ports import free_port
from tests.patience import ANSWER
from tools.tutorial import PORTS, TUTORIAL, blocks, on_ports, pasted

ROOT = TUTORIAL.parents[1]
#: What is built or installed from where it lies, which must not happen in the checkout.
COPIED = {"p2p", "p2p_client", "clients"}
LEFT = {".git", ".venv", "data", "demo", "shop", "runs", "webhook.secret"}


@pytest.fixture
def clone(tmp_path) -> Path:
    """The checkout, with the environment that the tests run in: torch takes minutes to install."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for each in ROOT.iterdir():
        if each.name in COPIED:
            shutil.copytree(each, folder / each.name, ignore=shutil.ignore_patterns("node_modules", "dist"))
        elif each.name not in LEFT:
            (folder / each.name).symlink_to(each)
    (folder / ".venv").mkdir()
    for each in Path(sys.prefix).iterdir():
        if each.name != ".ready":
            (folder / ".venv" / each.name).symlink_to(each)
    (folder / ".venv" / ".ready").touch()  # newer than every requirement: make installs nothing
    return folder


def test_what_it_says_works_as_it_is_written(clone, capsys):
    ports = [free_port() for _ in PORTS]
    text = on_ports(TUTORIAL.read_text(encoding="utf-8"), ports)
    environment = {"PORT": str(ports[0]), "OMP_NUM_THREADS": "1"}

    done, answers = [], []
    for block, seconds, said in pasted(text, clone, environment):
        done.append(block)
        answers += [said.strip()] if "http_code" in block.text else []
        with capsys.disabled():
            print(f"\n{seconds:6.1f} s  {block.part}: {' '.join(block.options.values())}", end="")
        if block == list(blocks(text))[-1]:
            page = fetched(f"http://127.0.0.1:{ports[1]}/").decode()

    assert done == list(blocks(text))
    assert answers == ["401"]
    shown = {file.relative_to(clone / "shop").as_posix() for file in (clone / "shop" / "pictures").rglob("*.png")}
    assert len(shown) == 4
    assert all(f'src="/{file}"' in page for file in shown)


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=ANSWER) as answer:
        return answer.read()
