"""Edits of models of pixels over HTTP: the API reads prompts without torch, a real worker draws and enlarges."""

import io
import json
from collections.abc import Callable

import httpx
import pytest
from PIL import Image

from stack.processes import python, running
from stack.services import stack
from tests import tiny_if, tiny_unclip, tiny_upscaler
from tests.declared import declared
from tests.held import held_while_finishing
from tests.integration.conftest import waiter
from tests.patience import ANSWER, eventually

#: Pixels a side of what each makes: DeepFloyd IF with a second stage, alone, and with an upscaler behind it; unCLIP
#: with its super-resolution and without.
SIZES = {"deepfloyd_if": (64, 32, 256), "unclip": (32, 16)}
#: Steps in which the pictures of each are made larger, as the pipelines have it.
FINISHING = {"deepfloyd_if": 50, "unclip": 7}
#: Steps of edits of each that stand still while their pictures are made larger: of one that is canceled, and of one
#: that is followed.
CANCELED, FOLLOWED = {"deepfloyd_if": 3, "unclip": 4}, {"deepfloyd_if": 5, "unclip": 6}


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """How the names of the files begin that let such edits go on."""
    return tmp_path_factory.mktemp("held") / "go"


@pytest.fixture
def release(go) -> Callable[[int], None]:
    """Lets edits of so many steps go on."""
    return lambda steps: go.with_name(f"{go.name}{steps}").touch()


@pytest.fixture(scope="module")
def api(tmp_path_factory, go):
    """The API, and one worker of both models, which stands still in edits of so many steps."""
    folder = tmp_path_factory.mktemp("pixels")
    first = tiny_if.pipeline()
    first.save_pretrained(folder / "deepfloyd_if")
    tiny_if.second_stage(first).save_pretrained(folder / "second")
    tiny_upscaler.pipeline().save_pretrained(folder / "third")
    tiny_unclip.pipeline().save_pretrained(folder / "unclip")
    lines = [
        declared(name, path=name)
        .replace('"stable_diffusion"', f'"{name}"')
        .replace("sizes = [[32, 32]]", f"sizes = {[[side, side] for side in sides]}")
        for name, sides in SIZES.items()
    ]
    lines[0] = lines[0].replace("sizes =", 'stages = ["second", "third"]\nsizes =')
    file = folder / "models.toml"
    file.write_text("".join(lines))
    with stack(folder / "stack", {}, models_file=file, settings={"OMP_NUM_THREADS": "1"}) as served:
        still = held_while_finishing(go, *CANCELED.values(), *FOLLOWED.values())
        program = f"{still}\nfrom worker.__main__ import main; main()"
        command = python("-c", program, *(argument for name in SIZES for argument in ("--model", name)))
        with (
            running("worker", command, folder / "worker.log", served.environment),
            httpx.Client(base_url=served.url, timeout=ANSWER) as client,
        ):
            yield client


SAMPLING = {"steps": 2, "guidance_scale": 2.0, "scheduler": "ddim"}


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
        "sampling": SAMPLING,
        **changes,
    }


@pytest.mark.parametrize("model", SIZES)
def test_edits_of_words_in_each_size_and_one_of_a_photo_succeed(api, model):
    photo, side = io.BytesIO(), SIZES[model][0]
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(photo, "png")
    uploaded = api.post("/v1/images", files={"image": ("photo.png", photo.getvalue(), "image/png")}).json()["id"]
    until = waiter(api)
    asked = [(side, {"sampling": SAMPLING | {"height": side, "width": side}}) for side in SIZES[model]]
    asked.append((side, {"source": {"prompt": "a cat on a beach", "image": {"upload": uploaded}}}))

    for side, changes in asked:
        response = api.post("/v1/edits", json=body(model, **changes))
        assert response.status_code == 202, response.text
        job = until(response.headers["Location"])
        assert job["status"] == "succeeded", job
        (url,) = (each["url"] for each in job["artifacts"] if each["name"] == "edit-1.png")
        assert Image.open(io.BytesIO(api.get(url).raise_for_status().content)).size == (side, side)


@pytest.mark.parametrize("model", SIZES)
def test_an_edit_is_canceled_within_a_step_of_making_its_pictures_larger(api, release, model):
    steps, until = CANCELED[model], waiter(api)
    response = api.post("/v1/edits", json=body(model, sampling={"steps": steps, "guidance_scale": 2.0}))
    assert response.status_code == 202, response.text
    address = response.headers["Location"]
    # Nobody follows it: how far it is stands in its record as its lease is renewed.
    reached = {"step": steps + 1, "steps": steps + FINISHING[model]}
    assert eventually(lambda: api.get(address).json()["progress"] == reached)

    assert api.post(f"{address}/cancel").status_code == 202
    release(steps)
    ended = until(address)

    assert (ended["status"], ended["artifacts"]) == ("canceled", [])
    assert ended["progress"] == {"step": steps + 2, "steps": steps + FINISHING[model]}
    again = api.post("/v1/edits", json=body(model))
    assert until(again.headers["Location"])["status"] == "succeeded"


@pytest.mark.parametrize("model", SIZES)
def test_who_follows_an_edit_sees_a_preview_and_the_steps_that_make_its_pictures_larger(api, release, model):
    steps, small = FOLLOWED[model], min(SIZES[model])
    how = {"sampling": {"steps": steps, "guidance_scale": 2.0}, "artifacts": {"previews": 1}}
    response = api.post("/v1/edits", json=body(model, **how))
    told: list[tuple[str, dict]] = []
    with api.stream("GET", f"{response.headers['Location']}/events") as stream:
        name = ""
        for line in stream.iter_lines():
            kind, _, said = line.partition(": ")
            if kind == "data":
                told.append((name, json.loads(said)))
                release(steps)  # not before it is followed
            name = said if kind == "event" else name

    assert told[-1][0] == "succeeded"
    reached = [(said["step"], said["steps"]) for name, said in told if name == "progress"]
    assert reached == sorted(reached)
    assert {of for _, of in reached} == {steps + FINISHING[model]}
    assert reached[-1][0] == steps + FINISHING[model]
    (preview,) = (said for name, said in told if name == "preview")
    assert preview["step"] == steps  # before its pictures are made larger
    picture = Image.open(io.BytesIO(api.get(preview["url"]).raise_for_status().content))
    assert picture.size == (2 * small, small)  # the source and its edit


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
