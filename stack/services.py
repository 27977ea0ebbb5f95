"""The stack: Redis, the API and the workers, each a process of its own, up and ready."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from process.interruption import look, pause
from stack.patience import PATIENCE, PROBE
from stack.ports import free_port
from stack.processes import NotStarted, python, running, tail
from stack.redis_server import redis_server


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack that runs.

    Attributes:
        url: where the API answers.
        redis_url: its Redis.
        folder: its logs and, unless kept elsewhere, its artifacts.
        metrics: where each process shows its metrics, by its name.
        processes: the API, the reaper, the outbox and the workers, by name.
        environment: the settings they were started with.
    """

    url: str
    redis_url: str = field(repr=False)  # it may hold a password
    folder: Path
    metrics: Mapping[str, str]
    processes: Mapping[str, subprocess.Popen] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    def check(self) -> None:
        """Raise `NotStarted`, with the end of its log, where a process has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise NotStarted(f"{name} ended with status {process.returncode}:\n{tail(self.folder / f'{name}.log')}")


@contextmanager
def stack(
    folder: Path,
    workers: Mapping[str, int],
    *,
    models_file: Path = Path("models.toml"),
    port: int | None = None,
    keep: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Everything that serves edits, for as long as the block runs; stopped in reverse order, whatever happens.

    Args:
        folder: where logs and artifacts go.
        workers: how many of each model.
        models_file: what is offered.
        port: of the API; any free one where absent.
        keep: whether jobs survive a restart.
        settings: further environment variables of the API and the workers.
    Raises:
        NotStarted: a part did not come up; the message holds the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with ExitStack() as parts:
        redis_url = parts.enter_context(redis_server(folder, keep=keep))
        environment = {
            "REDIS_URL": redis_url,
            "MODELS_FILE": str(models_file.absolute()),
            "STORAGE_URL": (folder / "artifacts").absolute().as_uri(),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            # Torch's threads otherwise spin while they wait for each other, and where something else wants the cores,
            # they spin a time slice long: measured, 18 s instead of 0.25 s for six steps of a tiny model.
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
            **_threads(sum(workers.values())),
            **(settings or {}),
        }
        processes: dict[str, subprocess.Popen] = {}
        ports = {name: free_port() for name, _ in commands(workers) if name != "api"}
        metrics = {"api": f"127.0.0.1:{port}", **{name: f"127.0.0.1:{own}" for name, own in ports.items()}}
        _write_targets(folder / "metrics.json", metrics)
        for name, command in commands(workers):
            look()  # who wants it to end does not wait for the rest to start
            log = folder / f"{name}.log"
            own = {"METRICS_PORT": str(ports.get(name, 0))}
            processes[name] = parts.enter_context(running(name, command, log, environment | own))
        started = Stack(
            url=f"http://127.0.0.1:{port}",
            redis_url=redis_url,
            folder=folder,
            metrics={name: f"http://{address}/metrics" for name, address in metrics.items()},
            processes=processes,
            environment=environment,
        )
        _wait_until_ready(started, workers)
        yield started


def commands(workers: Mapping[str, int]) -> Iterator[tuple[str, list[str]]]:
    """Every process of the service and how it is started, beside Redis; what is deployed is started the same way."""
    yield "api", python("-m", "service")
    yield "reaper", python("-m", "reaper")
    yield "outbox", python("-m", "outbox")
    for model, count in workers.items():
        for number in range(1, count + 1):
            yield f"worker-{model}-{number}", python("-m", "worker", "--model", model)


def _write_targets(path: Path, addresses: Mapping[str, str]) -> None:
    """Where the metrics are, as Prometheus reads it (`file_sd_configs`)."""
    targets = [{"targets": [address], "labels": {"process": name}} for name, address in addresses.items()]
    path.write_text(json.dumps(targets, indent=2) + "\n", encoding="utf-8")


def _threads(num_workers: int) -> dict[str, str]:
    """Torch takes every core in each process; several workers share them instead."""
    if "OMP_NUM_THREADS" in os.environ or num_workers < 2:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // num_workers))}


def _wait_until_ready(started: Stack, workers: Mapping[str, int]) -> None:
    deadline = time.monotonic() + PATIENCE
    answer = "it does not answer"
    # One client: to make one, httpx reads every certificate there is, 20 ms of a core that the stack needs to start.
    with httpx.Client(timeout=PROBE) as client:
        while time.monotonic() < deadline:
            started.check()
            try:
                response = client.get(f"{started.url}/readyz")
                answer = response.text
                if response.is_success and _all_there(response.json(), workers):
                    return
            except httpx.TransportError:
                pass
            pause(0.1)
    raise NotStarted(f"not ready after {PATIENCE} s; {started.url}/readyz: {answer}; the logs are in {started.folder}")


def _all_there(readiness: Mapping, workers: Mapping[str, int]) -> bool:
    return all(readiness["models"].get(model, {"workers": 0})["workers"] >= count for model, count in workers.items())
