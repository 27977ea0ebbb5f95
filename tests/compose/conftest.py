"""The compose file, built and deployed, for `make compose-test`."""

import json
import os
import platform
import time
from collections.abc import Iterator

import pytest

from tests.compose import docker, podman
from tests.compose.deployment import PORTS, Deployment, taken_ports
from tests.compose.engine import built_from
from tests.compose.tally import Tally
from tests.receiver import Receiver, receiving
from webhooks.signature import new_secret

#: Figures of the run, for its last line.
FIGURES: dict[str, object] = {}


@pytest.fixture(scope="session")
def tally() -> Iterator[Tally]:
    """Counts what is accepted, what ends and which webhooks come, from the first test to the last."""
    began = time.monotonic()
    counting = Tally(new_secret())
    yield counting
    if counting.noted:
        FIGURES.update(counting.summary(), minutes=round((time.monotonic() - began) / 60, 1))


@pytest.fixture(scope="session")
def receiver(tally: Tally) -> Iterator[Receiver]:
    """Takes webhooks on every address of this machine, for containers are to reach it."""
    with receiving(host="", on_arrival=tally.take) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def deployment(tally: Tally, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All images built, nothing started. Leaves no container, volume or network; images stay, for the next run."""
    kind = next((each for each in (docker, podman) if each.is_there()), None)
    if kind is None:
        pytest.skip(
            "NOTHING WAS TESTED: this needs Docker with compose on Linux, or root on Debian, where podman takes its "
            f"place. This is user {os.geteuid()} on {platform.platform()}"
        )
    if ports := taken_ports():
        pytest.fail(f"ports {ports} are taken, and docker-compose.yml shows {PORTS}: end what listens there")
    folder = tmp_path_factory.mktemp("compose")
    environment = {
        **built_from(),
        "WEBHOOK_URL": receiver.url.replace("127.0.0.1", "host.docker.internal"),
        "WEBHOOK_SECRET": tally.secret,
    }
    with kind.engine(folder, environment) as engine:
        deployed = Deployment(engine)
        deployed.down(volumes=True)  # what a run that was killed has left
        try:
            engine.build(folder / "build.log")
            yield deployed
        finally:
            deployed.down(volumes=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One JSON object: what was counted."""
    if FIGURES:
        terminalreporter.write_line(json.dumps(FIGURES))
