"""docs/restore.md, followed: its commands, run by the shell, on an installation of real processes that is then lost."""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import redis

from admin.snapshot import SnapshotFailed, snapshot
from stack.processes import running
from stack.redis_server import private_socket, redis_server, server_program, url_of, wait_for
from stack.s3_server import s3_server
from tests.installation import Installation
from tests.older import ROOT
from tests.patience import ANSWER, eventually
from tests.receiver import Receiver, receiving
from tests.steady_load import ENDS, edit


def shown() -> Sequence[str]:
    """The commands of the document, block by block."""
    text = (ROOT / "docs" / "restore.md").read_text(encoding="utf-8")
    return [textwrap.dedent(block) for block in re.findall(r" *```sh\n(.*?)```", text, re.DOTALL)]


COPY, FROM_SNAPSHOT, FROM_FOLDER, BUCKET, START = shown()


class Machine:
    """A machine: a folder, a Redis in it, an S3 server over its bucket."""

    def __init__(self, folder: Path, started: ExitStack, models: Path) -> None:
        self.folder, self._started, self._models = folder, started, models
        self.redis, self.bucket = folder / "redis", folder / "s3" / "artifacts"
        self.bucket.mkdir(parents=True)
        self.redis.mkdir()
        self.socket = started.enter_context(private_socket())
        self.redis_url = url_of(self.socket)
        (self.redis / "redis.conf").write_text(f"port 0\nunixsocket {self.socket}\nappendfsync always\n")

    def start(self, variables: dict[str, str]) -> "Installation":
        """All of it, the Redis by the document's own command."""
        variables = {**os.environ, **variables, "NEW_REDIS": str(self.redis)}
        command = ["bash", "-c", f"exec {START}"]
        self.server = self._started.enter_context(running("redis", command, self.folder / "redis.log", variables))
        wait_for(self.redis_url, self.server)
        self.settings = {
            "REDIS_URL": self.redis_url,
            "STORAGE_URL": self._started.enter_context(s3_server(self.folder)),
            "MODELS_FILE": str(self._models),
            "OMP_NUM_THREADS": "1",
            "SWEEP_INTERVAL": "0.5",
            "WEBHOOK_PRIVATE": "1",
        }
        (self.folder / "logs").mkdir()
        installation = self._started.enter_context(Installation(self.folder / "logs", self.settings))
        for kind in ("api", "reaper", "outbox", "worker"):
            installation.start(kind)
        return installation


@pytest.fixture
def variables(tmp_path) -> dict[str, str]:
    """What the document's commands read; a Valkey or a Redis is at hand under the name that it has there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "valkey-server").symlink_to(server_program())
    (tmp_path / "copy").mkdir()
    path = f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "COPY": str(tmp_path / "copy"), "RCLONE_CONFIG": str(tmp_path / "rclone.conf")}


@pytest.fixture
def receivers() -> Iterator[tuple[Receiver, Receiver]]:
    """One that takes webhooks, and one that takes none for now."""
    with receiving() as taking, receiving(status=503, headers={"Retry-After": "20"}) as refusing:
        yield taking, refusing


def follow(commands: str, variables: dict[str, str]) -> None:
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], env={**os.environ, **variables}, cwd=ROOT, check=True)


class Client:
    """A client of one installation after another."""

    def __init__(self, installation: Installation, started: ExitStack) -> None:
        self.http = started.enter_context(httpx.Client(base_url=installation.of("api")[0].url, timeout=ANSWER))

    def post(self, receiver: Receiver, name: str, **sampling: object) -> str:
        headers = {"Idempotency-Key": name}
        answer = self.http.post("/v1/edits", json=edit(receiver.url, **sampling), headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def get(self, job: str) -> dict:
        return self.http.get(f"/v1/edits/{job}").json()

    def ended(self, job: str) -> dict:
        assert eventually(lambda: self.get(job)["status"] in ENDS)
        return self.get(job)

    def pictures(self, job: str) -> list[int]:
        """The statuses of all of an edit's artifacts."""
        return [self.http.get(each["url"]).status_code for each in self.get(job)["artifacts"]]


@pytest.mark.parametrize("way", ["snapshot", "append-only folder"])
def test_what_was_in_the_copy_goes_on_and_nothing_else_is_lost(tiny_models, variables, receivers, tmp_path, way):
    taking, refusing = receivers
    is_snapshot = way == "snapshot"
    with ExitStack() as started:
        old = Machine(tmp_path / "old", started, tiny_models)
        lost = old.start(variables)
        variables |= {"REDIS_URL": old.redis_url, "OLD_BUCKET": str(old.bucket)}
        client = Client(lost, started)
        whole, holed, erased, later = (client.post(taking, name) for name in ("whole", "holed", "erased", "later"))
        owed = client.post(refusing, "owed")
        for each in (whole, holed, erased, owed):
            assert client.ended(each)["status"] == "succeeded"
        refusing.wait_for(1)
        # Stopped in the middle of a job: however long the copy takes, that job runs and the others wait.
        stopped = [*lost.of("worker"), *lost.of("reaper")]
        ran = client.post(taking, "ran", steps=150)
        assert eventually(lambda: client.get(ran)["status"] == "running")
        for each in stopped:
            each.process.send_signal(signal.SIGSTOP)
        assert client.get(ran)["status"] == "running"
        waited = [client.post(taking, f"waited-{number}") for number in range(2)]

        if is_snapshot:
            follow(COPY, variables)
            assert client.get(ran)["status"] == "running"
        after = client.post(taking, "after")
        if is_snapshot:
            for each in stopped:
                each.process.send_signal(signal.SIGCONT)
            # All of it ends and is told, and none of that is in the copy.
            assert client.http.delete(f"/v1/edits/{erased}").status_code == 204
            for edit_id in (ran, *waited, after):
                assert client.ended(edit_id)["status"] == "succeeded"
        for member in list(lost.members):
            lost.end(member, signal.SIGKILL)
        old.server.kill()
        old.server.wait()
        if not is_snapshot:
            shutil.copytree(old.redis / "appendonlydir", Path(variables["COPY"], "appendonlydir"))
            shutil.copytree(old.bucket, Path(variables["COPY"], "bucket"))
        (missing,) = [path for path in Path(variables["COPY"], "bucket").rglob("edit-1.png") if holed in path.parts]
        missing.unlink()
        shutil.rmtree(old.folder)
        told_before, refused_before = set(taking.ids), len(refusing.ids)

        new = Machine(tmp_path / "new", started, tiny_models)
        variables |= {"NEW_REDIS": str(new.redis), "NEW_BUCKET": str(new.bucket), "REDIS_URL": new.redis_url}
        refusing.status, refusing.headers = 204, {}
        follow((FROM_SNAPSHOT if is_snapshot else FROM_FOLDER) + BUCKET, variables)
        client = Client(new.start(variables), started)

        assert client.get(whole)["status"] == "succeeded"
        assert set(client.pictures(whole)) == {200}
        assert sorted(set(client.pictures(holed))) == [200, 404]
        assert client.ended(ran)["attempt"] == 2
        for each in (ran, *waited, later):
            assert client.ended(each)["status"] == "succeeded"
            assert set(client.pictures(each)) == {200}
        assert eventually(lambda: {f"{each}-succeeded" for each in (ran, *waited)} <= set(taking.ids))
        assert eventually(lambda: len(refusing.ids) > refused_before)
        assert set(refusing.ids) == {f"{owed}-succeeded"}
        if is_snapshot:
            # What ended after the copy has ended again, and is told again under the ids that its receiver knows.
            assert client.get(erased)["status"] == "succeeded"
            assert {name for name in taking.ids if taking.ids.count(name) > 1} <= told_before
            assert client.http.get(f"/v1/edits/{after}").status_code == 404
            again = client.post(taking, "after")
            assert again != after
            after = again
        assert client.ended(after)["status"] == "succeeded"


def test_a_snapshot_holds_what_was_written_before_it(tmp_path):
    with redis_server(tmp_path) as url, redis.Redis.from_url(url, decode_responses=True) as client:
        for number in range(3):
            client.set("name", f"value-{number}")
            assert f"value-{number}".encode() in Path(snapshot(client)).read_bytes()


def test_a_snapshot_that_redis_cannot_write_is_an_error(tmp_path):
    (tmp_path / "gone").mkdir()
    with redis_server(tmp_path / "gone") as url, redis.Redis.from_url(url, decode_responses=True) as client:
        shutil.rmtree(tmp_path / "gone")

        with pytest.raises(SnapshotFailed):
            snapshot(client)
