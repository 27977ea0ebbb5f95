"""A model that draws tokens, over HTTP: the API, Redis, a storage and a worker process, on a tiny model."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from stack.services import Stack, stack
from tests import tiny_amused
from tests.declared import declared
from tests.patience import ANSWER

EDIT = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    "sampling": {"seed": 3},
}
BLEND = {"words": [{"word": "dog"}], "box": {"left": 0, "top": 0, "right": 0.5, "bottom": 1}}


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Stack]:
    """The service and one worker of a tiny model of aMUSEd's layout."""
    folder = tmp_path_factory.mktemp("tokens")
    tiny_amused.pipeline().save_pretrained(folder / "model")
    file = Path(folder / "models.toml")
    file.write_text(declared("tiny", max_steps=1000).replace("stable_diffusion", "amused"))
    with stack(folder / "stack", {"tiny": 1}, models_file=file, settings={"OMP_NUM_THREADS": "1"}) as started:
        yield started


@pytest.fixture
def posted(api):
    """Posts an edit and gives its address."""

    def post(**changes: object) -> str:
        response = api.post("/v1/edits", json=EDIT | changes)
        assert response.status_code == 202, response.text
        return response.headers["Location"]

    return post


def pixels(job: dict, name: str) -> np.ndarray:
    (url,) = (artifact["url"] for artifact in job["artifacts"] if artifact["name"] == name)
    return np.asarray(Image.open(io.BytesIO(httpx.get(url, timeout=ANSWER).raise_for_status().content))).astype(int)


def test_an_edit_has_its_pictures_its_maps_and_its_manifest(posted, until):
    job = until(posted())

    assert job["status"] == "succeeded", job["error"]
    words = [each["word"] for each in job["artifacts"] if each["kind"] == "heatmap" and each["picture"] == 1]
    assert words == ["a", "dog", "on", "the", "beach"]
    assert {"image", "heatmap", "maps", "manifest"} <= {each["kind"] for each in job["artifacts"]}
    assert pixels(job, "source.png").shape == (32, 32, 3)
    assert not np.array_equal(pixels(job, "source.png"), pixels(job, "edit-1.png"))


def test_a_blend_keeps_what_is_outside_of_its_box(posted, until):
    job = until(posted(targets=[EDIT["targets"][0] | {"local_blend": BLEND}]))

    assert job["status"] == "succeeded", job["error"]
    source, edited = pixels(job, "source.png"), pixels(job, "edit-1.png")
    assert np.array_equal(source[:, 16:], edited[:, 16:])
    assert pixels(job, "masks/edit-1.png")[:, 16:].max() == 0


def test_previews_show_what_its_steps_foretell(api, posted):
    address = posted(sampling={"seed": 3, "steps": 6}, artifacts={"previews": 2, "heatmaps": False})

    with api.stream("GET", f"{address}/events") as response:
        lines = list(response.iter_lines())

    assert "event: succeeded" in lines
    first = lines[lines.index("event: preview") + 1].removeprefix("data: ")
    picture = Image.open(io.BytesIO(api.get(json.loads(first)["url"]).raise_for_status().content))
    assert (picture.format, picture.size) == ("JPEG", (64, 32))  # the source and its edit


def test_a_running_edit_is_canceled(api, posted, until):
    address = posted(sampling={"steps": 1000})
    until(address, "running")

    assert api.post(f"{address}/cancel").status_code == 202
    ended = until(address)

    assert (ended["status"], ended["artifacts"]) == ("canceled", [])
    assert until(posted())["status"] == "succeeded"


@pytest.mark.parametrize("method", ["edit_friendly", "direct"])
def test_a_photo_loses_what_its_tokens_lose_and_nothing_else(api, posted, until, method):
    levels = np.random.default_rng(5).integers(0, 256, (4, 4, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(levels).resize((32, 32), Image.Resampling.BICUBIC).save(data, "PNG")
    sent = api.post("/v1/images", files={"image": ("photo.png", data.getvalue(), "image/png")}).json()
    source = {"prompt": EDIT["source"]["prompt"], "image": {"upload": sent["id"]}}
    edit = {"source": source, "inversion": {"method": method}}

    first, second = until(posted(**edit)), until(posted(**edit))

    for job, made in ((first, "made"), (second, "kept")):
        assert job["status"] == "succeeded", job["error"]
        said = job["reconstruction"]
        assert (said["inversion"], said["psnr"]) == (made, said["autoencoder_psnr"])
    assert np.array_equal(pixels(first, "edit-1.png"), pixels(second, "edit-1.png"))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"sampling": {"scheduler": "ddim"}}, "/sampling/scheduler"),
        ({"sampling": {"height": 33, "width": 32}}, "/sampling/height"),
    ],
)
def test_what_has_no_meaning_for_tokens_is_refused_at_its_field(api, changes, pointer):
    answer = api.post("/v1/edits", json=EDIT | changes)

    assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, [pointer])
