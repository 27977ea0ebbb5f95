"""Edits of models whose words and pixels share one softmax, over HTTP: the API reads prompts, a real worker draws."""

import io

import httpx
import pytest
from PIL import Image

from stack.processes import python, running
from stack.services import stack
from tests import tiny_flows
from tests.declared import declared
from tests.integration.conftest import poster, waiter
from tests.patience import ANSWER

MADE = {"flux": tiny_flows.flux, "stable_diffusion_3": tiny_flows.sd3}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The API, and one worker of both models."""
    folder = tmp_path_factory.mktemp("flows")
    for name, make in MADE.items():
        make().save_pretrained(folder / name)
    file = folder / "models.toml"
    lines = (declared(name, path=name).replace('"stable_diffusion"', f'"{name}"') for name in MADE)
    file.write_text("".join(lines))
    with stack(folder / "stack", {}, models_file=file, settings={"OMP_NUM_THREADS": "1"}) as served:
        command = python("-m", "worker", *(argument for name in MADE for argument in ("--model", name)))
        with (
            running("worker", command, folder / "worker.log", served.environment),
            httpx.Client(base_url=served.url, timeout=ANSWER) as client,
        ):
            yield client


@pytest.mark.parametrize("model", MADE)
def test_edits_of_words_and_of_a_photo_succeed(api, model):
    """The photo by each inversion that flows have."""
    post, until = poster(api), waiter(api)
    photo = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).convert("RGB").save(photo, "png")
    uploaded = api.post("/v1/images", files={"image": ("photo.png", photo.getvalue(), "image/png")}).json()["id"]
    body = {
        "model": model,
        "source": {"prompt": "a cat on the beach", "image": {"upload": uploaded}},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}], "mass": "mass_matched"}],
        "sampling": {"steps": 2},
    }
    methods = ("direct", "straight", "edit_friendly")
    asked = [api.post("/v1/edits", json=body | {"inversion": {"method": method}}) for method in methods]
    assert [response.status_code for response in asked] == [202] * len(methods), [each.text for each in asked]
    done = [until(post(model, steps=2)), *(until(response.headers["Location"]) for response in asked)]

    assert {job["status"] for job in done} == {"succeeded"}, done
    for job in done:
        (url,) = (each["url"] for each in job["artifacts"] if each["name"] == "manifest.json")
        assert api.get(url).raise_for_status().json()["scheduler"] == "flow_euler"
    assert [job["reconstruction"]["inversion"] for job in done[1:]] == ["made"] * len(methods)


def test_an_inversion_that_flows_do_not_have_is_refused_before_a_job_is_made(api):
    source = {"prompt": "a cat on the beach", "image": {"url": "https://pictures.example/cat.png"}}
    body = {"model": "flux", "source": source, "inversion": {"method": "ddim"}, "targets": [{"prompt": "a dog"}]}
    refused = api.post("/v1/edits", json=body)

    assert refused.status_code == 422
    assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [
        ("/inversion/method", "unsupported_inversion")
    ]
