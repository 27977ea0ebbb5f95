"""Slow clients hold nothing for ever, and an honest one is answered meanwhile: a real process, real sockets."""

import io
import json
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
import redis
from PIL import Image

from jobs.redis import keys
from jobs.storage import open_storage
from service.artifacts.signing import UrlSigner
from stack.patience import ANSWER, PATIENCE
from stack.services import stack
from tests.patience import eventually

SECRET = "a secret of this test"
#: Soon over, and long enough for an honest client that gets no core for a while.
DEADLINES = {f"{name}_SECONDS": "3" for name in ("HEAD", "BODY", "IDLE", "SEND")}
EDIT = {
    "model": "tiny-third",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
}


@pytest.fixture(scope="module")
def api(tiny_models, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The API with deadlines that are soon over, and ways to connect to it."""
    folder = tmp_path_factory.mktemp("slow")
    # No byte of a body buys time, so that a dribbled one is over as soon as one that stalls.
    settings = {**DEADLINES, "MIN_RATE": "1000000000", "ARTIFACT_SECRET": SECRET}
    with ExitStack() as parts:
        served = parts.enter_context(stack(folder, {}, models_file=tiny_models, settings=settings))
        host, port = "127.0.0.1", int(served.url.rpartition(":")[2])

        def connect(first: bytes = b"", *, window: int = 0) -> socket.socket:
            opened = parts.enter_context(socket.socket())
            opened.settimeout(PATIENCE)
            if window:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            opened.connect((host, port))
            opened.sendall(first)
            return opened

        db = parts.enter_context(redis.Redis.from_url(served.redis_url, decode_responses=True))
        yield SimpleNamespace(
            url=served.url,
            connect=connect,
            db=db,
            storage=open_storage(served.environment["STORAGE_URL"]),
            signer=UrlSigner(SECRET, served.url),
        )


def honest(api: SimpleNamespace, ask: Callable[[httpx.Client], httpx.Response]) -> httpx.Response:
    """An answer to a client that means well, and tries again where a machine that is busy made it slow."""
    found: list[httpx.Response] = []

    def is_answered() -> bool:
        try:
            with httpx.Client(base_url=api.url, timeout=ANSWER) as client:
                found.append(ask(client))
        except httpx.TransportError:
            return False
        return found[-1].status_code != 408

    assert eventually(is_answered)
    return found[-1].raise_for_status()


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has ended a connection, found without reading from it."""
    waiting = select.poll()
    waiting.register(connection, select.POLLRDHUP)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLRDHUP) for _, event in waiting.poll(0))


def ended(api: SimpleNamespace, code: str) -> float:
    """How many connections the API has ended so."""
    text = honest(api, lambda client: client.get("/metrics")).text
    found = re.search(rf'^p2p_connections_ended_total{{code="{code}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def head(method: str, path: str, *further: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *further, "", ""]).encode()


FORM = ("Content-Type: multipart/form-data; boundary=x", "Content-Length: 20000000")
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
JSON = ("Content-Type: application/json", "Content-Length: 200000")
#: What is sent first, and what is dribbled then.
SLOW = {
    "silent": (b"", b""),
    "stalled head": (head("GET", "/livez")[:-2], b""),
    "dribbled head": (head("GET", "/livez")[:-2], b"X: y\r\n"),
    "idle": (head("GET", "/livez"), b""),
    "stalled body": (head("POST", "/v1/edits", *JSON), b""),
    "dribbled body": (head("POST", "/v1/edits", *JSON) + b"{", b" "),
    "dribbled picture": (head("POST", "/v1/images", *FORM) + PART, b"x"),
    "chunks of a byte": (head("POST", "/v1/edits", JSON[0], "Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    "a body for nobody": (head("POST", "/v1/nothing", *JSON), b"x"),
    "a body that waits to be wanted": (head("POST", "/v1/edits", *JSON, "Expect: 100-continue"), b""),
}


def test_slow_clients_are_sent_away_and_an_honest_one_is_answered_meanwhile(api):
    over = threading.Event()
    slow = [(name, api.connect(first), piece) for name, (first, piece) in SLOW.items() for _ in range(20)]

    def dribble() -> None:
        while not over.wait(0.2):
            for _, connection, piece in slow:
                try:
                    connection.send(piece)
                except OSError:
                    continue

    dribbling = threading.Thread(target=dribble)
    dribbling.start()
    try:
        assert honest(api, lambda client: client.get("/v1/models")).json()["models"]
        accepted = honest(api, lambda client: client.post("/v1/edits", json=EDIT))
        assert accepted.status_code == 202
        assert eventually(lambda: all(is_closed(connection) for _, connection, _ in slow)), [
            name for name, connection, _ in slow if not is_closed(connection)
        ]
    finally:
        over.set()
        dribbling.join()
    assert honest(api, lambda client: client.get(accepted.headers["Location"])).json()["status"] == "queued"


@pytest.mark.parametrize("name", ["stalled body", "dribbled body", "dribbled picture", "chunks of a byte"])
def test_a_slow_body_is_told_so(api, name):
    first, piece = SLOW[name]
    connection = api.connect(first)
    connection.sendall(piece)

    received = b""
    while part := connection.recv(65_536):
        received += part
    assert b"HTTP/1.1 408 Request Timeout" in received
    assert json.loads(received.partition(b"\r\n\r\n")[2])["code"] == "body_too_slow"


def test_who_reads_no_artifact_is_sent_away(api):
    key = f"jobs/{'0' * 32}/execution/picture.png"
    picture = b"\x89PNG" + b"x" * 30_000_000
    api.storage.put(key, picture, "image/png")
    url = api.signer.url(key, timedelta(hours=1)).removeprefix(api.url)
    before = ended(api, "answer_not_read")

    deaf = [api.connect(head("GET", url), window=4096) for _ in range(5)]
    fetched = honest(api, lambda client: client.get(url))

    assert fetched.content == picture
    assert eventually(lambda: all(map(is_closed, deaf)))
    assert ended(api, "answer_not_read") >= before + 5


def test_who_reads_no_events_is_sent_away_and_leaves_its_place(api):
    accepted = honest(api, lambda client: client.post("/v1/edits", json=EDIT)).json()
    address, events = accepted["links"]["events"], keys.events(accepted["id"])
    for number in range(2_000):  # long ones, so that no buffer on the way holds them all
        api.db.xadd(events, {"e": f"progress {number + 10**4000}/{10**4000}"})
    before = ended(api, "answer_not_read")

    deaf = [api.connect(head("GET", address), window=4096) for _ in range(5)]

    assert eventually(lambda: all(map(is_closed, deaf)))
    assert ended(api, "answer_not_read") >= before + 5
    assert eventually(lambda: "\np2p_followers 0.0\n" in honest(api, lambda client: client.get("/metrics")).text)


def test_a_listener_to_whom_nothing_happens_is_not_slow(api):
    """It reads whatever there is; that there is nothing for longer than any deadline is not its fault."""
    address = honest(api, lambda client: client.post("/v1/edits", json=EDIT)).json()["links"]
    with httpx.stream("GET", f"{api.url}{address['events']}", timeout=PATIENCE) as listening:
        lines = listening.iter_lines()
        assert next(lines) == "event: queued"
        # So long that every deadline would have been over: connections that came later are gone by theirs.
        later = [api.connect(), api.connect(SLOW["idle"][0])]
        assert eventually(lambda: all(map(is_closed, later)))
        honest(api, lambda client: client.post(f"{address['self']}/cancel"))
        assert "event: canceled" in list(lines)


def test_a_large_picture_is_taken(api):
    file = io.BytesIO()
    Image.effect_noise((3000, 3000), 100).save(file, "PNG")

    taken = honest(api, lambda client: client.post("/v1/images", files={"image": file.getvalue()}))

    assert taken.json()["width"] == 3000
