"""Files that are sent to do harm: each is refused by name, and the API that read them is as it was."""

import io
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image

from tests import hostile, hostile_heif
from tests.api_process import api_process, sent
from tests.patience import ANSWER

#: One second, after the start of the process that reads: a good picture takes a thirtieth of it.
LIMITS = {"MAX_IMAGE_BYTES": 24 * 2**20, "MAX_IMAGE_PIXELS": 16_000_000, "IMAGE_SECONDS": 1}
#: By how much the API's memory may have grown at its highest, over what it was after one good picture. A form's
#: file goes to disk beyond a megabyte and is read from there by another process; what is left are the server's buffers
#: of what arrives. The files here have up to 20 MiB, and unpack to what is from 64 MiB to many gigabytes.
GROWTH = 16 * 2**20


@pytest.fixture(scope="module")
def served(redis_url, tiny_models, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """An API process without workers."""
    with (
        api_process(tmp_path_factory.mktemp("hostile"), redis_url, tiny_models, **LIMITS) as api,
        httpx.Client(base_url=api.url, timeout=ANSWER) as client,
    ):
        assert sent(client, hostile.files()[0]).status_code == 201
        yield SimpleNamespace(process=api.process, client=client, port=api.port)


def peak(process) -> int:
    """The most memory that a process has held since `forget_peak`, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def forget_peak(process) -> int:
    """Has Linux note the peak anew; gives what is held now."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return peak(process)


@pytest.mark.parametrize("family", hostile.FAMILIES)
def test_every_hostile_file_is_refused_by_name_and_leaves_the_api_as_it_was(served, family):
    before = forget_peak(served.process)
    files = hostile.hostile(family)
    assert len(files) >= 10

    answers = [sent(served.client, data) for data in files]

    for number, answer in enumerate(answers):
        assert 400 <= answer.status_code < 500, (number, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["code"] in {"invalid_image", "body_too_large"}, (number, problem)
        if problem["code"] == "invalid_image":
            (error,) = problem["errors"]
            assert error["pointer"] == "/image"
            assert re.fullmatch(r"[a-z_]+", error["code"])
    assert peak(served.process) - before < GROWTH
    assert served.process.poll() is None
    assert sent(served.client, hostile.files()[1]).status_code == 201


#: What a client may say of a body, and what it then sends of it: none is a whole form with a picture.
TRANSFERS = {
    "longer than what is sent": (lambda body: (f"Content-Length: {len(body) + 1000}", body)),
    "much longer": (lambda body: (f"Content-Length: {2**40}", body)),
    "shorter": (lambda body: (f"Content-Length: {len(body) // 2}", body)),
    "much shorter": (lambda body: ("Content-Length: 1", body)),
    "none": (lambda body: ("Content-Length: 0", body)),
    "negative": (lambda body: ("Content-Length: -1", body)),
    "no number": (lambda body: ("Content-Length: many", body)),
    "two lengths": (lambda body: (f"Content-Length: 5\r\nContent-Length: {len(body)}", body)),
    "a length and chunks": (lambda body: (f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked", body)),
    "chunks that lie": (lambda body: ("Transfer-Encoding: chunked", b"ffffffff\r\n" + body)),
    "chunks without an end": (lambda body: ("Transfer-Encoding: chunked", b"%x\r\n" % len(body) + body)),
    "beyond what is read": (lambda body: (f"Content-Length: {2**26}", body)),
}


@pytest.mark.parametrize("lie", TRANSFERS)
def test_a_transfer_that_lies_is_refused_or_ends(served, lie):
    form = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        + hostile.files()[0]
        + b"\r\n--x--\r\n"
    )
    said, body = TRANSFERS[lie](form)
    with socket.create_connection(("127.0.0.1", served.port), timeout=ANSWER) as connection:
        head = (
            f"POST /v1/images HTTP/1.1\r\nHost: api\r\nContent-Type: multipart/form-data; boundary=x\r\n{said}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while data := connection.recv(65_536):
                answer += data
        except ConnectionResetError:
            pass

    assert not answer or answer.split()[1][:1] == b"4", answer[:200]
    assert served.process.poll() is None
    assert sent(served.client, hostile.files()[0]).status_code == 201


ODD = hostile.odd()


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_that_is_good_is_taken_with_the_pixels_it_shows(served, name):
    data, shows, within = ODD[name]

    response = sent(served.client, data)

    assert response.status_code == 201, response.text
    kept = Image.open(io.BytesIO(served.client.get(response.json()["url"]).content))
    assert (kept.mode, kept.size, kept.info) == ("RGB", shows.size, {})
    assert np.abs(np.asarray(kept, int) - np.asarray(shows, int)).max() <= within


def test_a_heic_or_avif_with_some_bytes_changed_is_taken_or_refused_and_nothing_else(served):
    for number in range(60):
        answer = sent(served.client, hostile_heif.damaged(number))

        assert answer.status_code in {201, 422}, (number, answer.text)
        assert answer.status_code == 201 or answer.json()["code"] == "invalid_image"
    assert served.process.poll() is None


def test_there_are_enough_of_both_kinds():
    assert len(hostile.FAMILIES) + 1 >= 10
    assert len(TRANSFERS) >= 10
    assert len(ODD) >= 20


def test_what_follows_a_picture_is_not_kept(served):
    response = sent(served.client, hostile.files()[0] + b"<script>alert(1)</script>")

    assert b"script" not in served.client.get(response.json()["url"]).content
