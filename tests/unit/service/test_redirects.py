"""Pictures behind redirects and in data: URLs, fetched from real servers: five redirects at most, each one checked."""

import asyncio
import base64
import ssl
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from PIL import Image

from picture_files.by_url import UrlNotFetched, fetch_over
from process.addresses import GuardedTransport
from tests import painted
from tests.file_server import Answer, redirect, serving
from tests.painted import file_of

#: An address that is public, behind which the tests put servers of this machine.
PUBLIC = "93.184.215.14"
#: Names that lead there; every other one leads to where it says.
NAMES = {
    "files.test": [PUBLIC],
    "other.test": [PUBLIC],
    "inside.test": ["127.0.0.1"],
    "both.test": [PUBLIC, "10.0.0.7"],
}
CAT = file_of(Image.new("RGB", (40, 30), "orange"))
MOST = 1_000_000


class Here(httpx.AsyncBaseTransport):
    """Carries what is for the public address to this machine, and nothing else anywhere."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=tls, limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == PUBLIC, f"{request.url.host} was called"
        request.url = request.url.copy_with(host="127.0.0.1")
        return await self._inner.handle_async_request(request)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate of files.test and other.test with its key."""
    file = tmp_path_factory.mktemp("tls") / "files.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=files.test"
    names = ["-addext", "subjectAltName=DNS:files.test,DNS:other.test", "-keyout", str(file), "-out", str(file)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return file


@pytest.fixture
def world(certificate):
    """A server of plain and one of secure files, how to fetch from them, and which names were resolved."""
    there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    there.load_cert_chain(certificate)
    resolved: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        resolved.append(host)
        return NAMES.get(host) or [host]

    transport = GuardedTransport(resolve=resolve, transport=Here(ssl.create_default_context(cafile=certificate)))
    with serving({}) as plain, serving({}, there) as secure:
        yield SimpleNamespace(
            plain=plain,
            secure=secure,
            resolved=resolved,
            http=f"http://files.test:{plain.port}",
            https=f"https://files.test:{secure.port}",
            fetch=fetch_over(transport, seconds=20),
        )


def fetched(world, url: str, most: int = MOST) -> bytes:
    return asyncio.run(world.fetch(url, most))


def refusal(world, url: str, most: int = MOST) -> UrlNotFetched:
    with pytest.raises(UrlNotFetched) as caught:
        fetched(world, url, most)
    return caught.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_to_the_file(world, status):
    world.plain.answers |= {"/a": redirect(f"http://other.test:{world.plain.port}/cat.png", status)}
    world.plain.answers["/cat.png"] = Answer(body=CAT)

    assert fetched(world, f"{world.http}/a") == CAT
    assert world.plain.asked == [("files.test", "/a"), ("other.test", "/cat.png")]
    # Each address is resolved for itself, right before it is called.
    assert world.resolved == ["files.test", "other.test"]


@pytest.mark.parametrize(
    ("location", "path"),
    [("/b/cat.png", "/b/cat.png"), ("cat.png", "/a/cat.png"), ("../cat.png", "/cat.png"), ("?size=2", "/a/old?size=2")],
)
def test_a_location_may_be_relative(world, location, path):
    world.plain.answers |= {"/a/old": redirect(location), path: Answer(body=CAT)}

    assert fetched(world, f"{world.http}/a/old") == CAT


def test_a_location_may_leave_out_the_scheme(world):
    world.secure.answers |= {"/a": redirect(f"//other.test:{world.secure.port}/b"), "/b": Answer(body=CAT)}

    assert fetched(world, f"{world.https}/a") == CAT


def chain(length: int) -> dict[str, Answer]:
    """So many redirects, and a file behind them."""
    return {f"/{number}": redirect(f"/{number - 1}") for number in range(1, length + 1)} | {"/0": Answer(body=CAT)}


def test_five_redirects_are_followed_and_no_sixth(world):
    world.plain.answers |= chain(6)

    assert fetched(world, f"{world.http}/5") == CAT
    world.plain.asked.clear()
    assert refusal(world, f"{world.http}/6").code == "url_redirects"
    assert len(world.plain.asked) == 6


def test_a_circle_is_left_at_once(world):
    world.plain.answers |= {"/a": redirect("/b"), "/b": redirect("/a"), "/self": redirect("/self#again")}

    assert refusal(world, f"{world.http}/a").code == "url_redirects"
    assert [path for _, path in world.plain.asked] == ["/a", "/b"]
    assert refusal(world, f"{world.http}/self").code == "url_redirects"


def test_a_redirect_from_http_to_https_is_followed_and_none_back(world):
    world.plain.answers |= {"/up": redirect(f"{world.https}/cat.png"), "/cat.png": Answer(body=CAT)}
    world.secure.answers |= {"/down": redirect(f"{world.http}/cat.png"), "/cat.png": Answer(body=CAT)}

    assert fetched(world, f"{world.http}/up") == CAT
    world.plain.asked.clear()
    assert refusal(world, f"{world.https}/down").code == "url_downgraded"
    assert world.plain.asked == []


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://127.0.0.1/", "private_address"),
        ("http://169.254.169.254/latest/meta-data/", "private_address"),
        ("http://2130706433/", "private_address"),
        ("http://[::1]/", "private_address"),
        ("//10.0.0.7/", "private_address"),
        ("http://inside.test/", "no_public_address"),
        ("http://both.test/", "no_public_address"),
        ("file:///etc/passwd", "url_scheme"),
        ("data:image/png;base64,aGVsbG8=", "url_scheme"),
        ("DATA:,x", "url_scheme"),
        ("ftp://files.test/cat.png", "url_scheme"),
        ("gopher://files.test/", "url_scheme"),
        ("javascript:alert(1)", "url_scheme"),
        ("http://me:secret@files.test/", "url_credentials"),
        ("http://files.test:99999/", "not_a_url"),
        ("http://files.test/" + "a" * 3000, "too_long"),
    ],
)
def test_a_redirect_to_what_is_not_called_is_not_followed_and_not_told(world, location, code):
    world.plain.answers["/a"] = redirect(location)

    refused = refusal(world, f"{world.http}/a")

    assert refused.code == code
    assert len(world.plain.asked) == 1
    for told in ("127.0.0.1", "169.254", "inside", "secret", "passwd"):
        assert told not in str(refused)


@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_other_answers_that_name_a_location_are_no_redirects(world, status):
    world.plain.answers["/a"] = Answer(status, b"", {"Location": "/cat.png"})

    assert refusal(world, f"{world.http}/a").code == "url_not_fetched"
    assert len(world.plain.asked) == 1


def test_a_redirect_without_a_location_leads_nowhere(world):
    world.plain.answers |= {"/a": Answer(302), "/b": redirect("")}

    for path in ("/a", "/b"):
        assert refusal(world, f"{world.http}{path}").code == "url_not_fetched"


def test_the_body_of_a_redirect_is_not_read_and_its_cookie_not_sent(world):
    headers = {"Location": "/cat.png", "Set-Cookie": "who=me"}
    world.plain.answers |= {"/a": Answer(302, bytes(2 * MOST), headers), "/cat.png": Answer(body=CAT)}

    assert fetched(world, f"{world.http}/a") == CAT
    assert "cookie" not in world.plain.headers[1]


def test_a_file_behind_a_redirect_has_the_same_limit(world):
    world.plain.answers |= {"/a": redirect("/large"), "/large": Answer(body=bytes(2000))}

    assert refusal(world, f"{world.http}/a", most=1000).code == "url_too_large"


def data_url(data: bytes, head: str = "data:image/png;base64,") -> str:
    return head + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "url",
    [
        data_url(CAT),
        data_url(CAT, "DATA:IMAGE/PNG;BASE64,"),
        data_url(CAT, "data:;base64,"),
        data_url(CAT, "data:text/html;charset=utf-8;base64,"),
        data_url(CAT).rstrip("="),
        data_url(CAT).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        data_url(CAT)[:60] + "\n" + data_url(CAT)[60:] + " ",
        "data:image/png," + "".join(f"%{byte:02x}" for byte in CAT),
    ],
)
def test_a_data_url_holds_its_file(world, url):
    assert fetched(world, url) == CAT
    assert world.resolved == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:", "data_url"),
        ("data:image/png;base64", "data_url"),
        ("data:image/png;base64,%%%", "data_url"),
        ("data:image/png;base64,a", "data_url"),
        ("data:image/png;base64,a-_b", "data_url"),
        ("data:image/png;base64,äöü", "data_url"),
        (data_url(bytes(2 * MOST)), "url_too_large"),
    ],
)
def test_a_data_url_that_holds_no_file_or_too_much_is_refused(world, url, code):
    assert refusal(world, url).code == code


def test_a_data_url_is_read_beside_the_event_loop(world, monkeypatch):
    """With a percent sign for each byte, 200 kB take 15 ms of computing, which no other request is to wait for."""
    threads = []
    monkeypatch.setattr("picture_files.by_url.file_of", lambda _: threads.append(threading.current_thread()) or CAT)

    fetched(world, "data:,%41")

    assert [thread is threading.main_thread() for thread in threads] == [False]


@pytest.fixture
def client(parts, serve, world):
    """The API, whose edits may name what lies in the world."""
    parts.plane = replace(parts.plane, images=replace(parts.plane.images, fetch=world.fetch))
    return serve()


def edit_of(image: dict, *masks: dict) -> dict:
    target = {"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}
    targets = [{**target, "local_blend": {"mask": mask}} for mask in masks] or [target]
    return {"model": "tiny", "source": {"prompt": "a cat on the beach", "image": image}, "targets": targets}


def test_an_edit_names_a_picture_and_its_masks_by_url(client, parts, world):
    photo = file_of(Image.new("RGB", painted.SIZE, "orange"))
    world.plain.answers |= {"/photo": redirect("/photo.png"), "/photo.png": Answer(body=photo)}
    world.plain.answers["/mask"] = Answer(body=painted.by_alpha()["black on clear"])
    held = {"url": data_url(painted.by_colour()["red on black"])}
    by_url = {"url": f"{world.http}/mask"}

    response = client.post("/v1/edits", json=edit_of({"url": f"{world.http}/photo"}, by_url, held, by_url))

    assert response.status_code == 202, response.text
    (job,) = parts.store.all()
    masks = job.spec.masks
    assert [mask.read_by for mask in masks.values()] == ["alpha", "colour", "alpha"]
    assert {mask.url for mask in masks.values()} == {job.spec.source.image.url} == {None}
    # The photo and two masks: what several targets name is fetched and kept once.
    assert set(parts.images.kept) == {job.spec.source.image.upload, *(mask.upload for mask in masks.values())}
    assert len(parts.images.kept) == 3
    assert {image.expires_at for image in parts.images.kept.values()} == {job.expires_at}


def test_a_url_that_several_masks_name_is_called_once_whatever_it_gives(client, world):
    photo = {"url": data_url(file_of(Image.new("RGB", painted.SIZE, "orange")))}
    missing, drawn = {"url": f"{world.http}/none"}, {"url": f"{world.http}/mask"}
    world.plain.answers["/mask"] = Answer(body=painted.by_alpha()["black on clear"])

    problem = client.post("/v1/edits", json=edit_of(photo, missing, missing, missing)).json()
    # As it is laid on white, a black stroke on a clear layer is the other way round, and says something too.
    accepted = client.post("/v1/edits", json=edit_of(photo, drawn, {**drawn, "read_by": "colour"}))

    assert [error["code"] for error in problem["errors"]] == ["url_not_fetched"]
    assert accepted.status_code == 202
    assert [path for _, path in world.plain.asked] == ["/none", "/mask"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (data_url(b"<html>"), "not_an_image"),
        ("data:image/png;base64,", "empty_image"),
        ("data:", "data_url"),
        (data_url(painted.saying_nothing()["white"]), "mask_uniform"),
        ("file:///etc/passwd", "url_scheme"),
        ("http://" + "a" * 3000, "too_long"),
        ("http://127.0.0.1/", "private_address"),
    ],
)
def test_a_mask_by_url_that_is_refused_is_pointed_at(client, parts, url, code):
    photo = {"url": data_url(file_of(Image.new("RGB", painted.SIZE, "orange")))}

    response = client.post("/v1/edits", json=edit_of(photo, {"url": url}))

    (error,) = response.json()["errors"]
    assert (response.status_code, error["pointer"]) == (422, "/targets/0/local_blend/mask/url")
    assert error["code"] == code
    assert parts.store.all() == []


def test_a_data_url_counts_as_a_part_of_the_body(parts, serve, world):
    parts.plane = replace(parts.plane, images=replace(parts.plane.images, fetch=world.fetch))
    client = serve(max_body_bytes=1000)

    response = client.post("/v1/edits", json=edit_of({"url": data_url(bytes(2000))}))

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
