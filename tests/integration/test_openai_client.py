"""OpenAI's own client, against the real service: it edits photos, generates pictures and follows them as they come."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from stack.services import Stack
from tests.integration.test_photos import file_of, sent
from tests.patience import ANSWER
from tests.unit.worker.test_fitting import slope

SIZE = (48, 48)
#: Where the mask is transparent.
CLEAR = (12, 12, 36, 36)
SWAP = {"source_prompt": "a cat on the beach", "edits": json.dumps([{"kind": "replace"}]), "steps": 3}


@pytest.fixture
def client(served: Stack) -> Iterator[openai.OpenAI]:
    """As its users make it; the address and the key are all that they change."""
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, timeout=ANSWER) as made:
        yield made


def photo() -> bytes:
    return file_of(slope(SIZE))


def mask() -> bytes:
    drawn = Image.new("RGBA", SIZE, (0, 0, 0, 255))
    drawn.paste((0, 0, 0, 0), CLEAR)
    return file_of(drawn)


def uploads(api: httpx.Client) -> list[str]:
    return [each["id"] for each in api.get("/v1/images").json()["images"]]


def picture(b64_json: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(b64_json or "")))


def test_it_edits_a_photo_where_the_mask_is_transparent(client, api):
    before = uploads(api)

    answer = client.images.edit(
        model="tiny",
        image=("photo.png", photo()),
        mask=("mask.png", mask()),
        prompt="a dog on the beach",
        extra_body={**SWAP, "strength": 0.9, "metadata": json.dumps({"order": "77"})},
    )

    (made,) = answer.data
    edited, source = np.asarray(picture(made.b64_json).convert("RGB")), np.asarray(slope(SIZE))
    changed = (edited != source).any(2)
    left, top, right, bottom = CLEAR
    assert changed[top:bottom, left:right].any()
    changed[top:bottom, left:right] = False
    assert not changed.any()
    assert (answer.size, answer.output_format, answer.background) == ("48x48", "png", "opaque")
    edit = api.get(f"/v1/edits/{answer.id}").json()
    target = edit["spec"]["targets"][0]
    assert (target["cross_window"]["stop"], edit["metadata"]) == (pytest.approx(0.1), {"order": "77"})
    # Nobody could erase what came in the form: it has gone with the edit's end.
    assert uploads(api) == before


def test_it_generates_several_pictures_each_of_a_seed_of_its_own(client, api):
    answer = client.images.generate(
        model="tiny", prompt="a cat on the beach", n=2, output_format="webp", extra_body={"seed": 7, "steps": 2}
    )

    first, second = (picture(each.b64_json) for each in answer.data)
    assert (first.format, first.size, answer.size) == ("WEBP", (32, 32), "32x32")
    assert not np.array_equal(np.asarray(first), np.asarray(second))
    edit = api.get(f"/v1/edits/{answer.id}").json()
    assert (edit["seeds"], edit["spec"]["targets"]) == ([7, 8], [])
    assert answer.usage.input_tokens == answer.usage.total_tokens > 0


def test_it_is_given_addresses_where_it_asks_for_them(client):
    answer = client.images.generate(
        model="tiny", prompt="a cat", response_format="url", size="32x32", extra_body={"steps": 1}
    )

    (made,) = answer.data
    assert httpx.get(made.url, timeout=ANSWER).raise_for_status().content.startswith(b"\x89PNG")
    assert made.b64_json is None


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_it_follows_a_picture_as_it_comes(client, kind):
    shared = {"model": "tiny", "stream": True, "partial_images": 2}
    if kind == "image_edit":
        events = client.images.edit(
            image=("photo.png", photo()), prompt="a dog on the beach", extra_body=SWAP | {"steps": 60}, **shared
        )
    else:
        events = client.images.generate(prompt="a cat on the beach", extra_body={"steps": 60}, **shared)
    *partial, last = events

    # One that comes while the one before it is still being stored is left out, as is one that is late.
    assert [each.type for each in partial] == [f"{kind}.partial_image"] * len(partial)
    assert partial
    assert [each.partial_image_index for each in partial] == list(range(len(partial)))
    assert {(each.output_format, picture(each.b64_json).format) for each in partial} <= {("jpeg", "JPEG")}
    size = SIZE if kind == "image_edit" else (32, 32)
    assert (last.type, picture(last.b64_json).size) == (f"{kind}.completed", size)
    assert last.usage.output_tokens == 0


def test_a_photo_without_a_source_prompt_is_refused_with_an_example(client):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.images.edit(model="tiny", image=("photo.png", photo()), prompt="a dog on the beach")

    error = refused.value
    assert (error.type, error.param, error.code) == (
        "invalid_request_error",
        "source_prompt",
        "picture_without_prompt",
    )
    assert 'extra_body={"source_prompt": "a cat on a beach"}' in str(error)


def test_an_edit_that_fails_says_why_in_the_same_shape(client):
    """ "tiny-too" is let through with a prompt that its worker cannot read to the end."""
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.images.generate(model="tiny-too", prompt="extraordinarily " * 20)

    assert refused.value.code == "prompt_too_long"


def test_the_programs_that_are_shown_run(served, tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "openai.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    code = code.replace("http://127.0.0.1:8000", served.url).replace('"scenes"', '"tiny"')
    (tmp_path / "photo.png").write_bytes(photo())
    (tmp_path / "mask.png").write_bytes(mask())
    monkeypatch.chdir(tmp_path)

    exec(code, {})

    assert {file.name for file in tmp_path.iterdir()} == {
        *("photo.png", "mask.png", "cat-0.png", "cat-1.png", "dog.png"),
    }


def test_a_picture_that_was_sent_before_is_edited_by_its_id(api):
    image = sent(api, photo())

    answer = api.post(
        "/v1/images/edits",
        json={
            "model": "tiny",
            "images": [{"file_id": image["id"]}],
            "prompt": "a dog on the beach",
            **SWAP,
            "edits": [{"kind": "replace"}],
        },
    ).json()

    assert picture(answer["data"][0]["b64_json"]).size == SIZE
    assert api.get(f"/v1/images/{image['id']}").status_code == 200
