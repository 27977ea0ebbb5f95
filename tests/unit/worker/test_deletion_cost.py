"""A worker's pod says whether it has a job, to a real HTTPS server that takes what Kubernetes takes."""

import json
import logging
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

import pytest

from stack.patience import PATIENCE
from tests.patience import eventually
from worker.deletion_cost import ANNOTATION, BUSY, IDLE, DeletionCost, deletion_cost

POD, TOKEN, NAMESPACE = "edits-worker-scenes-7d9c-x2x", "token-of-the-account", "pictures"
PATH = f"/api/v1/namespaces/{NAMESPACE}/pods/{POD}"


@dataclass
class ApiServer:
    """Takes one PATCH of a pod's annotations, if the token is right, and answers `status`."""

    account: Path
    port: int = 0
    status: int = 200
    written: SimpleQueue = field(default_factory=SimpleQueue)
    refused: SimpleQueue = field(default_factory=SimpleQueue)
    goes_on: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def next(self) -> str:
        """The next cost that is written."""
        return self.written.get(timeout=PATIENCE)

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> int:
        self.goes_on.wait()
        asked = (path, headers.get("authorization"), headers.get("content-type"))
        if asked != (PATH, f"Bearer {(self.account / 'token').read_text()}", "application/merge-patch+json"):
            self.refused.put(asked)
            return 403
        (cost,) = json.loads(body)["metadata"]["annotations"].items()
        assert cost[0] == ANNOTATION
        (self.written if self.status == 200 else self.refused).put(cost[1])
        return self.status


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=kubernetes -addext subjectAltName=IP:127.0.0.1 "
        f"-keyout {folder}/key.pem -out {folder}/ca.crt".split(),
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def account(tmp_path, certificate) -> Path:
    """A service account, as Kubernetes mounts it: with a line's end or without one."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "namespace").write_text(f"{NAMESPACE}\n")
    (tmp_path / "ca.crt").write_bytes((certificate / "ca.crt").read_bytes())
    return tmp_path


@pytest.fixture
def server(account, certificate) -> Iterator[ApiServer]:
    api = ApiServer(account)
    api.goes_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = api.answer(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            try:
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
            except OSError:
                pass  # the worker waits no longer

        def log_message(self, *_: object) -> None:
            """Nothing: what is asked is in the queues."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate / "ca.crt", certificate / "key.pem")
        http.socket = context.wrap_socket(http.socket, server_side=True)
        api.port = http.server_port
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield api
        api.goes_on.set()
        http.shutdown()


def test_a_worker_costs_more_while_it_has_a_job(server, account):
    with DeletionCost(POD, server.url, account, settled=0).told() as busy:
        # A container that was killed in a job is started anew in its pod, whose annotation says busy still.
        assert server.next() == IDLE
        with busy():
            assert server.next() == BUSY
        assert server.next() == IDLE

    assert server.refused.empty()
    assert int(IDLE) == 0 < int(BUSY), "a pod without the annotation counts as 0"


def test_jobs_that_follow_each_other_are_written_once(server, account):
    with DeletionCost(POD, server.url, account, settled=PATIENCE).told() as busy:
        assert server.next() == IDLE
        with busy():
            assert server.next() == BUSY
        for _ in range(20):
            with busy():
                pass
        assert server.written.empty()


def test_a_job_waits_for_no_answer(server, account):
    server.goes_on.clear()
    done = 0
    with DeletionCost(POD, server.url, account).told() as busy:
        for _ in range(100):
            with busy():
                done += 1

    assert (done, server.written.empty()) == (100, True)


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 500, 503, 307])
def test_a_refusal_is_logged_once_and_tried_again(server, account, caplog, status):
    server.status = status
    cost = DeletionCost(POD, server.url, account, settled=0, again=0.01)
    with caplog.at_level(logging.WARNING), cost.told() as busy, busy():
        for _ in range(3):
            assert server.refused.get(timeout=PATIENCE) in {IDLE, BUSY}
        server.status = 200
        assert server.next() == BUSY

    # Of this server: what the test before left behind may still be refused by its own.
    (line,) = (line for line in caplog.messages if server.url in line)
    assert str(status) in line


@pytest.mark.parametrize(
    "wrong", ["nobody listens", "another CA", "no token", "no certificate", "a token of two lines"]
)
def test_what_cannot_be_reached_ends_nothing(server, account, caplog, wrong, monkeypatch):
    url = server.url
    if wrong == "nobody listens":
        url = "https://127.0.0.1:1"
    elif wrong == "another CA":
        url = url.replace("127.0.0.1", "localhost")  # the certificate has another name
    elif wrong == "a token of two lines":
        (account / "token").write_text("one\r\nHost: elsewhere")
    else:
        (account / ("token" if wrong == "no token" else "ca.crt")).unlink()
    with caplog.at_level(logging.WARNING), DeletionCost(POD, url, account, settled=0, again=0.01).told() as busy:
        with busy():
            pass
        assert eventually(lambda: caplog.records)
        with busy():
            pass

    assert server.written.empty()
    assert not [line for line in caplog.messages if TOKEN in line or "elsewhere" in line]
    assert all(str(account) in line or url in line for line in caplog.messages)


def test_a_token_that_kubernetes_has_renewed_is_read_anew(server, account):
    with DeletionCost(POD, server.url, account, settled=0).told() as busy:
        assert server.next() == IDLE
        (account / "token").write_text("a newer token")
        with busy():
            assert server.next() == BUSY


def test_a_proxy_of_the_environment_is_not_asked(server, account, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    with DeletionCost(POD, server.url, account).told():
        assert server.next() == IDLE


@pytest.mark.parametrize(
    ("pod", "environment", "said"),
    [
        ("", {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}, 0),
        ("", {}, 0),
        (POD, {}, 1),
    ],
)
def test_it_is_off_where_there_is_no_pod(pod, environment, said, caplog):
    before = threading.active_count()
    with caplog.at_level(logging.WARNING), deletion_cost(pod, environment) as busy, busy():
        assert threading.active_count() == before

    assert len([line for line in caplog.messages if "POD_NAME" in line]) == said


@pytest.mark.parametrize(
    ("host", "url"), [("10.96.0.1", "https://10.96.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_it_asks_where_every_container_is_told_to(host, url, monkeypatch, caplog):
    asked: SimpleQueue = SimpleQueue()
    monkeypatch.setattr(DeletionCost, "_write", lambda self, cost: asked.put(self._server) or "")
    with deletion_cost(POD, {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT_HTTPS": "6443"}):
        assert asked.get(timeout=PATIENCE) == url
