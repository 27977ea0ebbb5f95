"""Edits of models of pixels over HTTP: the API reads prompts without torch, a real worker draws and enlarges."""

import io

import httpx
import pytest
from PIL import Image

from stack.processes import python, running
from stack.services import stack
from tests import tiny_if, tiny_unclip
from tests.declared import declared
from tests.integration.conftest import waiter
from tests.patience import ANSWER

#: Pixels a side of what each draws: DeepFloyd IF with a second stage, which makes twice as large what the first draws.
SIDES = {"deepfloyd_if": 64, "unclip": 32}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The API, and one worker of both models."""
    folder = tmp_path_factory.mktemp("pixels")
    first = tiny_if.pipeline()
    first.save_pretrained(folder / "deepfloyd_if")
    tiny_if.second_stage(first).save_pretrained(folder / "second")
    tiny_unclip.pipeline().save_pretrained(folder / "unclip")
    lines = [
        declared(name, path=name)
        .replace('"stable_diffusion"', f'"{name}"')
        .replace("sizes = [[32, 32]]", f"sizes = [[{side}, {side}]]")
        for name, side in SIDES.items()
    ]
    lines[0] = lines[0].replace("sizes =", 'stages = ["second"]\nsizes =')
    file = folder / "models.toml"
    file.write_text("".join(lines))
    with stack(folder / "stack", {}, models_file=file, settings={"OMP_NUM_THREADS": "1"}) as served:
        command = python("-m", "worker", *(argument for name in SIDES for argument in ("--model", name)))
        with (
            running("worker", command, folder / "worker.log", served.environment),
            httpx.Client(base_url=served.url, timeout=ANSWER) as client,
        ):
            yield client


def body(model: str, **changes) -> dict:
    target = {
        "prompt": "a dog on a beach",
        "edits": [{"kind": "replace"}],
        "local_blend": {"words": [{"word": "dog"}], "start": 0},
    }
    return {
        "model": model,
        "source": {"prompt": "a cat on a beach"},
        "targets": [target],
        "sampling": {"steps": 2, "guidance_scale": 2.0, "scheduler": "ddim"},
        **changes,
    }


@pytest.mark.parametrize("model", SIDES)
def test_an_edit_of_words_and_one_of_a_photo_succeed(api, model):
    photo, side = io.BytesIO(), SIDES[model]
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(photo, "png")
    uploaded = api.post("/v1/images", files={"image": ("photo.png", photo.getvalue(), "image/png")}).json()["id"]
    until = waiter(api)

    for changes in ({}, {"source": {"prompt": "a cat on a beach", "image": {"upload": uploaded}}}):
        response = api.post("/v1/edits", json=body(model, **changes))
        assert response.status_code == 202, response.text
        job = until(response.headers["Location"])
        assert job["status"] == "succeeded", job
        (url,) = (each["url"] for each in job["artifacts"] if each["name"] == "edit-1.png")
        assert Image.open(io.BytesIO(api.get(url).raise_for_status().content)).size == (side, side)


def test_an_inversion_that_samples_again_is_refused_at_the_door_by_name(api):
    photo = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).convert("RGB").save(photo, "png")
    uploaded = api.post("/v1/images", files={"image": ("photo.png", photo.getvalue(), "image/png")}).json()["id"]
    source = {"prompt": "a cat on a beach", "image": {"upload": uploaded}}
    for model, setting in (("unclip", "clip_sample"), ("deepfloyd_if", "clip_sample")):
        response = api.post("/v1/edits", json=body(model, source=source, inversion={"method": "negative_prompt"}))
        (error,) = response.json()["errors"]
        assert (response.status_code, error["code"]) == (422, "unsupported_inversion")
        assert error["pointer"].endswith("/inversion/method")
        assert setting in error["detail"]


def test_a_prompt_of_more_tokens_than_t5_reads_is_refused_at_the_door_in_chunks_too(api):
    target = {"prompt": "a dog on a beach " * 20, "edits": []}
    for long_prompts in ("refuse", "chunks"):
        response = api.post("/v1/edits", json=body("deepfloyd_if", targets=[target], long_prompts=long_prompts))
        (error,) = response.json()["errors"]
        assert (response.status_code, error["code"]) == (422, "prompt_too_long")
        assert "101 tokens with start and end, and deepfloyd_if reads 77: shorten it" in error["detail"]
