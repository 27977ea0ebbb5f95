"""One world: a Redis of its own, an API, two workers, a reaper and a sender, kept alive by a supervisor; and its load.

What ends is started again at once, as by any supervisor. The API runs in the benchmark's own process and takes real
requests: an edit counts as accepted from its 202 on.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import redis.asyncio

from benchmarks.recovery.journal import Journal, Line
from benchmarks.recovery.programs import MODEL, Place, reaping, stand_in_worker, telling
from jobs.redis import keys
from jobs.redis.schemes import async_client
from service.app import create_app
from service.settings import Settings
from stack.patience import PATIENCE
from stack.redis_server import guarded_command

#: Seconds between two edits, and between two looks of the supervisor, and of what waits for something.
PACE, LOOK = 0.5, 0.05
#: Edits that may be under way at once: more would wait for each other and not for what was killed.
AT_ONCE = 6
EDIT = {
    "model": MODEL,
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    "sampling": {"steps": 10},
    "artifacts": {"heatmaps": False},
}

Program = Callable[[Place, str], None]
PROGRAMS: Mapping[str, Program] = {
    "worker-1": stand_in_worker,
    "worker-2": stand_in_worker,
    "reaper": reaping,
    "outbox": telling,
}
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["benchmarks.recovery.programs", "benchmarks.recovery.stock"])


@dataclass
class World:
    """What a window or a fault is tried on.

    Attributes:
        environment: the settings of its processes.
        redis_port: of its Redis itself, whatever lies between that and the processes.
        programs: its processes, by name.
        keep: whether its Redis keeps an append-only file.
        accepted: the ids of all edits that were answered with 202.
        ended: those whose webhook has arrived.
        entries: per job, the entries of the outbox that speak of it.
        bodies: per job, what its webhook said; each end has a time of its own.
        finished: when a job ended, in seconds since 1970, by its record.
    """

    name: str
    folder: Path
    redis_port: int
    environment: Mapping[str, str]
    programs: Mapping[str, Program] = field(default_factory=lambda: PROGRAMS)
    keep: bool = False
    accepted: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    entries: dict[str, set[str]] = field(default_factory=dict)
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    processes: dict[str, multiprocessing.process.BaseProcess] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place = Place(folder=self.folder, environment=self.environment)
        self.journal = Journal(self.folder / "journal")
        self.wires = self.place.wires()
        # The processes may reach it through a proxy, but by the same password.
        self.password = urlsplit(self.environment["REDIS_URL"]).password or ""
        self.redis_url = redis_url(self.redis_port, self.password)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["World"]:
        """Everything up for as long as the block runs; the Redis first and last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as parts:
            await parts.enter_async_context(self._redis())
            self.client = async_client(self.redis_url, decode_responses=True)
            parts.push_async_callback(self.client.aclose)
            app = create_app(self._settings())
            await parts.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            self.api = await parts.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://localhost")
            )
            for name in self.programs:
                self._start(name)
            watching = [asyncio.create_task(each) for each in (self._supervise(), self._watch_outbox())]
            try:
                yield self
            finally:
                for each in watching:
                    each.cancel()
                for process in self.processes.values():
                    process.kill()

    def _settings(self) -> Settings:
        named: dict[str, Any] = {name.lower(): value for name, value in self.environment.items()}
        return Settings(**{name: value for name, value in named.items() if name in Settings.model_fields})

    @asynccontextmanager
    async def _redis(self) -> AsyncIterator[None]:
        self._start_redis()
        try:
            await self._redis_answers()
            yield
        finally:
            self.redis.kill()
            self.redis.wait()

    def _start_redis(self) -> None:
        command = guarded_command(self.redis_port, self.password, self.folder, keep=self.keep)
        with (self.folder / "redis.log").open("ab") as log:
            self.redis = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    async def restart_redis(self, signum: int, *, after: float) -> None:
        """Redis ends by a signal and is started again after so many seconds."""
        self.redis.send_signal(signum)
        self.redis.wait()
        await asyncio.sleep(after)
        self._start_redis()
        await self._redis_answers()

    async def _redis_answers(self) -> None:
        async with redis.asyncio.Redis.from_url(self.redis_url) as client:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                try:
                    await client.ping()
                    return
                except redis.RedisError:
                    await asyncio.sleep(LOOK)
        raise TimeoutError(f"{self.name}: Redis does not answer; see {self.folder / 'redis.log'}")

    def _start(self, name: str) -> None:
        process = _processes.Process(target=self.programs[name], args=(self.place, name), daemon=True)
        process.start()
        self.processes[name] = process

    async def _supervise(self) -> None:
        while True:
            for name, process in list(self.processes.items()):
                if not process.is_alive():
                    self._start(name)
            await asyncio.sleep(LOOK)

    async def _watch_outbox(self) -> None:
        """Note every entry of the outbox: a reader that waits is served as soon as one is written."""
        last = "0-0"
        while True:
            try:
                found = await self.client.xread({keys.OUTBOX: last}, block=1000)
            except redis.RedisError:
                await asyncio.sleep(LOOK)
                continue
            new = cast(list[tuple[str, list[tuple[str, dict[str, str]]]]], found or [])
            for last, entry in (each for _, entries in new for each in entries):
                self.entries.setdefault(entry["job"], set()).add(last)

    async def submit(self) -> str | None:
        """The id of an edit that was accepted; None if it was not."""
        try:
            response = await self.api.post("/v1/edits", json=EDIT)
        except httpx.HTTPError:
            return None
        if response.status_code != 202:
            return None
        return self.took(response.json()["id"])

    def took(self, job: str) -> str:
        """An edit was answered with 202."""
        self.accepted.append(job)
        self.journal.write("accepted", job=job)
        return job

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[None]:
        """Edits are sent as long as the block runs, as many at once as may be; none is broken off."""
        over = asyncio.Event()

        async def sent() -> None:
            while not over.is_set():
                if len(self.accepted) - len(self.ended) < AT_ONCE:
                    await self.submit()
                await asyncio.sleep(PACE)

        sending = asyncio.create_task(sent())
        try:
            yield
        finally:
            over.set()
            await sending

    async def execution(self, job: str) -> str | None:
        """The execution that a job's record names."""
        return json.loads(await self.client.hget(keys.record(job), "execution") or "null")

    def told(self, job: str, body: bytes) -> None:
        """The webhook of a job's end has arrived."""
        self.ended.add(job)
        self.bodies.setdefault(job, set()).add(body)
        self.journal.write("delivery", job=job)

    async def next_kill(self, point: str, *, after: int, patience: float = PATIENCE) -> Line:
        """The kill at a point that is the next after so many; raises `TimeoutError`."""
        return await self.eventually(lambda: self.kills(point)[after : after + 1], patience)

    def kills(self, point: str) -> list[Line]:
        return [line for line in self.journal.of("kill") if line["point"] == point]

    async def eventually(self, found: Callable, patience: float) -> Line:
        """The first line of what a function finds, as soon as it finds one."""
        deadline = time.monotonic() + patience
        while not (lines := found()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: waited {patience:g} s in vain; see {self.folder}")
            await asyncio.sleep(LOOK)
        return lines[0]

    async def busy_worker(self) -> int:
        """The process id of a worker that has begun a job's steps."""
        step = len(list(self.journal.of("step")))
        return (await self.eventually(lambda: list(self.journal.of("step"))[step:], 120))["pid"]

    def kill(self, name: str, point: str) -> Line:
        """Kill a process from outside, noting what it had in hand."""
        pid = self.processes[name].pid or 0
        os.kill(pid, signal.SIGKILL)
        job = self.journal.job_of(pid)
        self.journal.write("kill", point=point, job=job, victim=pid, name=name)
        return self.kills(point)[-1]


def redis_url(port: int, password: str) -> str:
    """The `REDIS_URL` of a server on a port of loopback."""
    return f"redis://:{password}@127.0.0.1:{port}/0"


def settings_of(redis_port: int, storage_url: str, webhook_url: str) -> dict[str, str]:
    """The settings of a world's processes: a deployment's defaults, but for the addresses."""
    return {
        "REDIS_URL": redis_url(redis_port, token_hex(16)),
        "STORAGE_URL": storage_url,
        "WEBHOOK_URL": webhook_url,
        "OMP_NUM_THREADS": "1",
    }
