"""`pip install .` gives the client and the library, and needs neither the service nor torch for the client."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # The backend that is pinned and installed here: pip would otherwise fetch the newest one.
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, ROOT], check=True)
    (made,) = folder.glob("*.whl")
    return made


def test_the_package_holds_the_client_and_the_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()

    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"p2p", "p2p_client"}
    ours = {str(path.relative_to(ROOT)) for top in ("p2p", "p2p_client") for path in (ROOT / top).rglob("*.py")}
    assert ours | {"p2p/py.typed", "p2p_client/py.typed"} <= set(names)


def test_what_is_installed_can_be_imported_without_torch_and_the_service(wheel, tmp_path):
    code = (
        "import sys, p2p_client.webhooks, p2p.spec; p2p_client.Client().close(); print(p2p_client.__file__);"
        "print(*{'torch', 'service', 'worker', 'diffusers'} & sys.modules.keys())"
    )
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path)

    # From another folder, with this checkout nowhere on the path.
    run = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path.parent,
        env={"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )

    assert run.stdout.split() == [str(tmp_path / "p2p_client" / "__init__.py")]


def test_the_package_asks_for_what_it_imports(wheel):
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        asked = message_from_bytes(files.read(name)).get_all("Requires-Dist") or []
    plain = {Requirement(text).name for text in asked if "extra ==" not in text}
    imported = {
        module.split(".")[0]
        for pattern in ("p2p_client/**/*.py", "p2p/spec/*.py", "p2p/words.py")
        for path in ROOT.glob(pattern)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for module in ([node.module] if isinstance(node, ast.ImportFrom) else names_of(node))
    }

    outside = imported - set(sys.stdlib_module_names) - {"p2p", "p2p_client", "pydantic_core"}
    assert outside == plain
    assert PROJECT["name"] == "p2p-edit-service"


def names_of(node: ast.AST) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
