"""What clients of OpenAI's Images API are refused, and what edit a request of theirs becomes."""

import asyncio
import io
import json
import time
from types import SimpleNamespace

import pytest
from fastapi import Request
from PIL import Image

from jobs.redis.record import plain_of
from process.leaving import ClientLeft
from service.edits import following
from service.http.errors import answer_of
from service.openai import bodies, made
from service.openai.described import FORM
from tests.patience import PATIENCE

ADDRESSES = {"generations": "/v1/images/generations", "edits": "/v1/images/edits"}
EDIT = {"model": "tiny", "source_prompt": "a cat on the beach", "prompt": "a dog on the beach"}


def png(mode: str = "RGB", size: tuple[int, int] = (16, 16)) -> bytes:
    file, image = io.BytesIO(), Image.new(mode, size, "red")
    if mode == "RGBA":
        image.paste((0, 0, 0, 0), (4, 4, 12, 12))
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody works edits off here: no answer waits for one."""
    monkeypatch.setattr(made, "LONGEST", 0.0)


@pytest.fixture
def edited(client):
    """Sends a form with a picture."""

    def send(files: dict | list | None = None, **fields: str):
        said = {name: value for name, value in {**EDIT, **fields}.items() if value is not None}
        return client.post(ADDRESSES["edits"], data=said, files=files or {"image": png()})

    return send


def error_of(response) -> tuple[int, str | None, str]:
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return response.status_code, body["error"]["param"], body["error"]["code"]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"prompt": ""}, "prompt", "too_short"),
        ({"model": "dall-e-3"}, "model", "unknown_model"),
        ({"size": "1024x1024"}, "size", "size_not_offered"),
        ({"size": "large"}, "size", "string_pattern_mismatch"),
        ({"n": 4}, "n", "too_many_seeds"),
        ({"n": 11}, "n", "out_of_range"),
        ({"steps": 401}, "steps", "too_many_steps"),
        ({"quality": "hd"}, "quality", "literal_error"),
        ({"stream": True, "response_format": "url"}, "response_format", "url_of_stream"),
        ({"style": "vivid"}, "style", "unknown_field"),
        ({"prompt": "word " * 40}, "prompt", "prompt_too_long"),
    ],
)
def test_a_mistake_is_said_in_their_shape_of_the_field_that_they_know(client, body, param, code):
    response = client.post(ADDRESSES["generations"], json={"model": "tiny", "prompt": "a cat"} | body)

    assert error_of(response) == (422, param, code)
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"source_prompt": None}, "source_prompt", "picture_without_prompt"),
        ({"prompt": "two red cars", "source_prompt": "a cat"}, "prompt", "picture_not_described"),
        ({"n": "2"}, "n", "edits_alike"),
        ({"n": "two"}, "n", "value_not_json"),
        ({"strength": "1.5"}, "strength", "out_of_range"),
        ({"strength": "0.5", "edits": "[]"}, "strength", "window_without_edits"),
        ({"edits[][kind]": "replace"}, "edits", "value_not_json"),
        ({"edits": '[{"kind": "swap"}]'}, "edits.0", "unknown_edit_kind"),
        ({"edits": '[{"kind": "replace", "x": 1}]'}, "edits.0.x", "unknown_field"),
        ({"local_blend": '{"words": [{"word": "cow"}]}'}, "local_blend.words.0.word", "word_not_found"),
        ({"size": "32x32"}, "size", "size_of_picture"),
    ],
)
def test_a_mistake_of_a_form_is_too_and_no_picture_is_left(edited, parts, fields, param, code):
    assert error_of(edited(**fields)) == (422, param, code)
    assert parts.images.kept == {}


@pytest.mark.parametrize(
    ("files", "param", "code"),
    [
        ({"mask": png("RGBA")}, "image", "missing_field"),
        ([("image[]", png()), ("image[]", png())], "image", "too_many"),
        ({"image": b"no picture"}, "image", "not_an_image"),
        ({"image": png(), "mask": b"no picture"}, "mask", "not_an_image"),
        ({"image": png(), "mask": png()}, "mask", "mask_uniform"),
        ({"image": png(), "mask": png("RGBA", (16, 8))}, "mask", "mask_of_another_shape"),
        ({"image": png(), "prompt": png()}, "prompt", "unknown_field"),
        ([("image", png()), ("seed", (None, "1")), ("seed", (None, "2"))], "seed", "part_repeated"),
    ],
)
def test_a_file_that_is_wrong_is_named_by_its_part_and_none_is_left(edited, parts, files, param, code):
    assert error_of(edited(files)) == (422, param, code)
    assert parts.images.kept == {}


def test_a_mask_of_theirs_lets_change_what_is_transparent(edited, parts):
    edited({"image[]": png(), "mask": png("RGBA")}, strength="0.7", steps="2", user="user-4711")

    (job,) = parts.store.all()
    (target,) = job.spec.targets
    assert target.local_blend.mask.read_by == "transparency"
    assert [window.stop for window in (target.cross_window, target.self_window)] == [pytest.approx(0.3)] * 2
    assert (job.spec.sampling.steps, job.of_subject) == (2, "user-4711")
    assert {image.labels.subject for image in parts.images.kept.values()} == {"user-4711"}


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("end", ["canceled", "erased"])
def test_the_files_of_a_request_that_nobody_waits_for_go_with_its_edit(client, edited, parts, monkeypatch, stream, end):
    """Their sender has no ids of them: they stayed for as long as the edit's record."""
    monkeypatch.setattr(following, "LONGEST_STREAM", 0.0)
    response = edited({"image": png(), "mask": png("RGBA")}, stream=stream)
    (job,) = parts.store.all()
    assert "still_being_made" in response.text
    assert len(parts.images.kept) == 2

    client.post(f"/v1/edits/{job.id}/cancel").raise_for_status()
    if end == "erased":
        client.delete(f"/v1/edits/{job.id}").raise_for_status()

    deadline = time.monotonic() + PATIENCE
    while parts.images.kept and time.monotonic() < deadline:
        time.sleep(0.05)
    assert parts.images.kept == {}


def test_a_picture_that_takes_long_is_to_be_fetched_and_not_to_be_asked_for_again(client, parts):
    response = client.post(ADDRESSES["generations"], json={"model": "tiny", "prompt": "a cat", "n": 2, "seed": 7})

    (job,) = parts.store.all()
    assert error_of(response) == (504, None, "still_being_made")
    assert response.headers["x-should-retry"] == "false"
    assert f"/v1/edits/{job.id}" in response.json()["error"]["message"]
    assert (job.spec.seeds, job.spec.targets, job.spec.artifacts.any_maps) == ((7, 8), (), False)


def test_a_client_that_leaves_is_no_error_of_the_service(client, parts, caplog):
    """It stood in the log as a 504 with its traceback, beside faults that somebody has to look at."""
    client.post(ADDRESSES["generations"], json={"model": "tiny", "prompt": "a cat"})
    (job,), gone = parts.store.all(), SimpleNamespace(has_left=True)
    caplog.clear()

    with pytest.raises(ClientLeft):
        asyncio.run(made.last_of(job, plain_of(job), parts.plane, gone))

    request = Request({"type": "http", "method": "POST", "path": ADDRESSES["edits"], "headers": []})
    assert answer_of(request, ClientLeft()).status == 400
    assert caplog.records == []


@pytest.mark.parametrize("address", ADDRESSES.values())
def test_no_images_id_is_what_these_addresses_are_called(client, address):
    for method in ("GET", "PUT", "DELETE"):
        response = client.request(method, address)
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_the_form_has_the_fields_of_the_json():
    described = FORM["multipart/form-data"]["schema"]["properties"]

    assert described.keys() == bodies.PictureEditRequest.model_fields.keys() - {"images"} | {"image"}
    texts = {
        name
        for name, field in described.items()
        if field["type"] == "string" and "contentMediaType" not in field and field.get("format") != "binary"
    }
    assert texts == bodies.TEXTS


def test_the_example_of_each_is_accepted(client, parts):
    assert bodies.GenerationRequest.model_validate(bodies.GENERATION).n == 2
    assert bodies.PictureEditRequest.model_validate(json.loads(json.dumps(bodies.EDIT))).n == 1
