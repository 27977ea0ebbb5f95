"""Artifacts become files; the key stays at home."""

import httpx
import pytest

from p2p_client import BadAnswer, JobFailed, NotAllowed, NotEnded, NotFound
from tests.unit.client.answering import JOB, URL, Answering, artifact, edit, problem

BUCKET = "https://bucket.test/edit-1.png?X-Signature=abc"


def content(body: bytes) -> httpx.Response:
    return httpx.Response(200, content=body)


def test_artifacts_are_files_under_their_names(call, tmp_path):
    artifacts = [
        artifact("seed-1/source.png", b"source", f"{URL}/v1/artifacts/1"),
        artifact("maps.npz", b"maps", f"{URL}/v1/artifacts/2", "maps"),
    ]
    service = Answering(edit("succeeded", artifacts=artifacts), content(b"source"), content(b"maps"))

    paths = call(service, "download", JOB, tmp_path / "out")

    assert paths == [tmp_path / "out" / "seed-1" / "source.png", tmp_path / "out" / "maps.npz"]
    assert [path.read_bytes() for path in paths] == [b"source", b"maps"]
    assert {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()} == {"source.png", "maps.npz"}


def test_only_the_kinds_that_are_asked_for_are_fetched(call, tmp_path):
    artifacts = [artifact("source.png", b"source", BUCKET), artifact("maps.npz", b"maps", BUCKET, "maps")]
    service = Answering(edit("succeeded", artifacts=artifacts), content(b"source"))

    assert call(service, "download", JOB, tmp_path, kinds={"image"}) == [tmp_path / "source.png"]


def test_the_key_is_never_sent_with_an_artifacts_address(call, tmp_path):
    artifacts = [artifact("edit-1.png", b"picture", BUCKET), artifact("source.png", b"s", f"{URL}/v1/artifacts/1")]
    moved = httpx.Response(307, headers={"Location": "https://another.test/edit-1.png"})
    service = Answering(edit("succeeded", artifacts=artifacts), moved, content(b"picture"), content(b"s"))

    call(service, "download", JOB, tmp_path, key="p2p_secret")

    assert [(request.url.host, request.headers.get("Authorization")) for request in service.asked] == [
        ("service.test", "Bearer p2p_secret"),
        ("bucket.test", None),
        ("another.test", None),
        ("service.test", None),
    ]


def test_an_address_that_is_over_is_asked_for_anew(call, tmp_path):
    over, fresh = ([artifact("edit-1.png", b"picture", f"{BUCKET}{n}")] for n in "12")
    service = Answering(
        edit("succeeded", artifacts=over),
        httpx.Response(403, text="<Error><Code>AccessDenied</Code></Error>"),
        edit("succeeded", artifacts=fresh),
        content(b"picture"),
    )

    (path,) = call(service, "download", JOB, tmp_path)

    assert path.read_bytes() == b"picture"
    assert str(service.asked[-1].url).endswith("abc2")


def test_an_address_that_is_refused_twice_is_told(call, tmp_path):
    shown, refused = edit("succeeded", artifacts=[artifact("a.png", b"a", BUCKET)]), problem(403, "link_refused")

    with pytest.raises(NotAllowed, match="link_refused"):
        call(Answering(shown, refused, shown, refused), "download", JOB, tmp_path)


def test_what_was_erased_is_not_there(call, tmp_path):
    shown = edit("succeeded", artifacts=[artifact("a.png", b"a", BUCKET)])

    with pytest.raises(NotFound):
        call(Answering(shown, problem(404, "artifact_not_found")), "download", JOB, tmp_path)


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "masks/../../a.png"])
def test_no_name_leads_out_of_the_folder(call, tmp_path, name):
    service = Answering(edit("succeeded", artifacts=[artifact(name, b"a", BUCKET)]), content(b"a"))

    with pytest.raises(BadAnswer, match="leads out of"):
        call(service, "download", JOB, tmp_path / "out")

    assert list(tmp_path.rglob("*.png")) == []


def test_half_an_artifact_is_no_file(call, tmp_path):
    service = Answering(edit("succeeded", artifacts=[artifact("a.png", b"whole", BUCKET)]), content(b"who"))

    with pytest.raises(BadAnswer, match="came with 3 bytes and has 5"):
        call(service, "download", JOB, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_what_has_not_succeeded_has_nothing_to_fetch(call, tmp_path):
    with pytest.raises(NotEnded):
        call(Answering(edit("running")), "download", JOB, tmp_path)
    with pytest.raises(JobFailed):
        call(Answering(edit("canceled")), "download", JOB, tmp_path)
