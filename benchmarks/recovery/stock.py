"""The same kills on RQ as it comes: `SimpleWorker`, one queue, every setting at its default.

Two workers a world, a supervisor that starts again what ends, one job of the same steps and uploads every few seconds,
so that no worker idles through its maintenance, and RQ's own webhook. Nothing is retried: RQ retries only what says so.
"""

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import redis
from rq import Queue, SimpleWorker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.webhook import Webhook

from benchmarks.recovery.journal import Journal, Line
from benchmarks.recovery.stand_in import MIDDLE, START, STEP
from benchmarks.recovery.verdict import NEXT_STEP, taken_up
from benchmarks.recovery.wires import UPLOAD, Wires
from jobs.storage import open_storage
from stack.redis_server import redis_server
from stack.s3_server import s3_server

#: Kills a window, seconds after which one counts as not recovered, seconds between two jobs.
KILLS, CUT_OFF, PACE = 3, 25 * 60, 5.0
QUEUE = "edits"
#: Steps of a job.
STEPS = 10
#: Where its kills fall.
POINTS = (
    "after_pop",
    "before_start",
    "while_running",
    "mid_upload",
    "before_commit",
    "before_webhook",
    "inside_maintenance",
)


def edit() -> None:
    """What a queued message calls: ten steps, two uploads."""
    assert _wires
    for step in range(STEPS):
        time.sleep(STEP)
        _wires.note("step", step=step)
        if step == MIDDLE:
            _wires.trip("while_running", _wires.in_hand)
    storage = open_storage(os.environ["STORAGE_URL"])
    for number in range(2):
        if number:
            _wires.trip("mid_upload", _wires.in_hand, within=UPLOAD)
        storage.put(f"jobs/{_wires.in_hand}/stock/{number}.png", bytes(20_000), "image/png")


_wires: Wires | None = None


def worker(folder: Path, environment: Mapping[str, str]) -> None:
    """A stock worker with wires across it."""
    global _wires
    os.environ.update(environment)
    log = os.open(folder / "workers.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    time.sleep(START)
    _wires = wires = Wires(folder / "armed", Journal(folder / "journal"))
    wires.across(SimpleWorker, "execute_job", "after_pop", lambda worker, job, queue: job.id)
    wires.around(SimpleWorker, "execute_job", lambda worker, job, queue: job.id)
    wires.across(SimpleWorker, "perform_job", "before_start", lambda worker, job, queue, execution: job.id)
    wires.across(SimpleWorker, "handle_job_success", "before_commit", lambda worker, **named: named["job"].id)
    wires.across(Job, "send_webhooks", "before_webhook", lambda job, *_, **__: job.id)
    wires.across(Queue, "release_maintenance_lock", "inside_maintenance", lambda queue: "")
    wires.noting(Queue, "acquire_maintenance_lock", "sweep", only_if=bool)
    client = redis.Redis.from_url(environment["REDIS_URL"])
    SimpleWorker([Queue(QUEUE, connection=client)], connection=client).work(logging_level="INFO")


@dataclass
class StockWorld:
    """A Redis, two stock workers and one kill."""

    point: str
    folder: Path
    redis_url: str
    storage_url: str
    webhook_url: str
    processes: list[Any] = field(default_factory=list)
    became: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "journal")
        self.environment = {"REDIS_URL": self.redis_url, "STORAGE_URL": self.storage_url}
        self.queue = Queue(QUEUE, connection=redis.Redis.from_url(self.redis_url))
        self.processes = [self._started() for _ in range(2)]

    def _started(self) -> Any:
        made = _processes.Process(target=worker, args=(self.folder, self.environment), daemon=True)
        made.start()
        return made

    def supervise(self) -> None:
        """Start again what has ended."""
        self.processes = [each if each.is_alive() else self._started() for each in self.processes]

    def submit(self) -> None:
        """One more job, with RQ's own webhook."""
        self.queue.enqueue(edit, webhooks=[Webhook(self.webhook_url, "finished", method="POST")])

    def look(self) -> None:
        """Note what has become of the job that was killed."""
        kill = next(self.journal.of("kill"), None)
        if kill and kill["job"]:
            try:
                status = Job.fetch(kill["job"], connection=self.queue.connection).get_status().value
            except NoSuchJobError:
                status = "gone"
            if not self.became or self.became[-1][0] != status:
                self.became.append((status, round(time.time() - kill["at"], 1)))

    def outcome(self) -> dict[str, Any]:
        """How the kill was mended, as far as it was by now."""
        kill = next(self.journal.of("kill"), None)
        if kill is None:
            return {"killed": False, "recovered_s": None}
        told = any(line["job"] == kill["job"] for line in self.journal.of("delivery"))
        about = {"became": self.became, "webhook": told} if kill["job"] else {}
        return {"killed": True, "recovered_s": self._recovered(kill), **about}

    def _recovered(self, kill: Line) -> float | None:
        seconds = taken_up(self.journal, kill, NEXT_STEP[self.point], victim=kill["pid"])
        return None if seconds is None else round(seconds, 1)


_processes = multiprocessing.get_context("forkserver")


@contextmanager
def _receiver(worlds: Mapping[str, StockWorld]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            worlds[self.path.strip("/")].journal.write("delivery", job=message["job_id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """No line a request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def measured(cut_off: float = CUT_OFF) -> dict[str, Any]:
    """Three kills a window, each in a world of its own, all at once, until each is mended or the time is over."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stock-") as place, ExitStack() as parts:
        folder = Path(place)
        storage_url = parts.enter_context(s3_server(folder))
        worlds: dict[str, StockWorld] = {}
        webhooks = parts.enter_context(_receiver(worlds))
        for point in POINTS:
            for number in range(KILLS):
                name = f"{point}-{number}"
                (folder / name).mkdir()
                redis_url = parts.enter_context(redis_server(folder / name))
                # Armed before its workers start: the maintenance that a kill falls into is their first.
                Wires(folder / name / "armed", Journal(folder / name / "journal")).arm(point)
                worlds[name] = StockWorld(
                    point, folder / name, redis_url, f"{storage_url}/{name}", f"{webhooks}/{name}"
                )
        parts.callback(lambda: [each.kill() for world in worlds.values() for each in world.processes])
        submitted = 0.0
        while time.monotonic() - began < cut_off:
            for world in worlds.values():
                world.supervise()
                world.look()
            if time.monotonic() - submitted > PACE:
                submitted = time.monotonic()
                for world in worlds.values():
                    world.submit()
            time.sleep(0.2)
        by_window = {point: [worlds[f"{point}-{number}"].outcome() for number in range(KILLS)] for point in POINTS}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python -m benchmarks.recovery --stock",
        "cut_off_s": cut_off,
        "kills": sum(each["killed"] for window in by_window.values() for each in window),
        "by_window": by_window,
    }
