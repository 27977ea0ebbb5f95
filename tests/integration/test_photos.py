"""A picture that was not generated, from its upload to its edits: over HTTP, Redis, a storage and worker processes."""

import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from stack.processes import python, running
from stack.services import stack
from tests.integration.conftest import waiter
from tests.patience import ANSWER, eventually
from tests.unit.worker.test_fitting import slope

#: Steps of every run here; direct inversion spends two rows of the UNet on each.
STEPS = 3


def file_of(image: Image.Image, form: str = "PNG", **how: object) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **how)
    return data.getvalue()


def sent(api: httpx.Client, data: bytes) -> dict:
    response = api.post("/v1/images", files={"image": ("photo", data)})
    assert response.status_code == 201, response.text
    return response.json()


def edit_of(image: dict, prompt: str = "a dog on the beach", **changes: object) -> dict:
    return {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach", "image": {"upload": image["id"]}},
        "targets": [{"prompt": prompt, "edits": [{"kind": "replace"}]}],
        "sampling": {"steps": STEPS},
    } | changes


def posted(api: httpx.Client, body: dict, address: str = "/v1/edits") -> str:
    response = api.post(address, json=body)
    assert response.status_code == 202, response.text
    return response.headers["Location"]


def fetched(job: dict, name: str) -> bytes:
    (url,) = (artifact["url"] for artifact in job["artifacts"] if artifact["name"] == name)
    return httpx.get(url, timeout=ANSWER).raise_for_status().content


@pytest.mark.parametrize("where", ["api", "served_on_s3"])
def test_a_picture_is_sent_edited_twice_and_erased(request, until, where):
    place = request.getfixturevalue(where)
    api, until = (place, until) if where == "api" else (place.api, place.until)
    # As a camera held on its side writes it.
    photo = slope((90, 60)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    image = sent(api, file_of(photo, exif=exif))
    assert (image["width"], image["height"]) == (90, 60)
    kept = np.asarray(Image.open(io.BytesIO(httpx.get(image["url"], timeout=ANSWER).raise_for_status().content)))
    assert np.array_equal(kept, slope((90, 60)))

    first = until(posted(api, edit_of(image)))
    second = until(posted(api, edit_of(image, "a car on the beach")))

    for job, made in ((first, "made"), (second, "kept")):
        assert job["status"] == "succeeded", job["error"]
        assert job["reconstruction"]["inversion"] == made
        assert job["reconstruction"]["psnr"] == job["reconstruction"]["autoencoder_psnr"]
        manifest = json.loads(fetched(job, "manifest.json"))
        assert manifest["image"]["inversion"]["unet_evaluations"] == (2 * STEPS if made == "made" else 0)
        edited = np.asarray(Image.open(io.BytesIO(fetched(job, "edit-1.png"))))
        assert edited.shape == (60, 90, 3)
        assert np.array_equal(edited[:, :15], kept[:, :15])
    assert (first["progress"]["steps"], second["progress"]["steps"]) == (3 * STEPS, STEPS)
    (inversion,) = inversions_of(api, image)
    assert inversion["unet_evaluations"] == 2 * STEPS

    assert api.delete(image["links"]["self"]).status_code == 204

    assert inversions_of(api, image) == []
    assert eventually(lambda: is_gone(image)), "the reaper has not been there"
    refused = api.post("/v1/edits", json=edit_of(image)).json()
    assert refused["errors"][0]["code"] == "image_not_found"


def inversions_of(api, image: dict) -> list[dict]:
    """Of this picture alone: other tests invert theirs at the same API."""
    return [each for each in api.get("/v1/inversions").json()["inversions"] if each["image"] == image["id"]]


def test_an_inversion_made_ahead_is_taken_up(api, until):
    image = sent(api, file_of(slope((40, 40))))
    body = {name: value for name, value in edit_of(image).items() if name != "targets"}

    ahead = until(posted(api, body, "/v1/inversions"))
    edited = until(posted(api, edit_of(image)))

    assert [artifact["name"] for artifact in ahead["artifacts"]] == ["source.png", "manifest.json"]
    assert (ahead["reconstruction"]["inversion"], edited["reconstruction"]["inversion"]) == ("made", "kept")
    api.delete(image["links"]["self"])


def test_a_picture_that_is_erased_while_its_edit_waits_ends_the_edit(api, until):
    image = sent(api, file_of(slope((40, 40))))
    api.delete(image["links"]["self"])
    # The record goes at once, the pixels with the next sweep: an edit that was queued before meets either.
    again = sent(api, file_of(slope((40, 40))))
    # Many times longer than it takes to post three edits and to erase the picture.
    long = [posted(api, edit_of(again, sampling={"steps": 30})) for _ in range(2)]
    waiting = posted(api, edit_of(again))
    api.delete(again["links"]["self"])

    ended = until(waiting)

    assert ended["status"] == "succeeded" or ended["error"]["code"] == "image_gone"
    for address in long:
        api.post(f"{address}/cancel")
        until(address)
    assert inversions_of(api, again) == []


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def masked_edit(image: dict, mask: dict, **changes: object) -> dict:
    target = {"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}
    target["local_blend"] = {"mask": {"upload": mask["id"]}}
    return edit_of(image, **{"targets": [target]} | changes)


def test_outside_of_its_mask_a_picture_comes_back_as_it_was_sent(api, until):
    photo, drawn = slope((90, 60)), Image.new("RGB", (45, 30))
    drawn.paste((255, 255, 255), (15, 5, 30, 20))
    image, mask = sent(api, file_of(photo, "WEBP", lossless=True)), sent(api, file_of(drawn))

    job = until(posted(api, masked_edit(image, mask)))

    assert job["status"] == "succeeded", job["error"]
    outside = np.ones((60, 90), bool)
    outside[10:40, 30:60] = False
    edited = pixels(fetched(job, "edit-1.png"))
    assert np.array_equal(edited[outside], np.asarray(photo)[outside])
    assert not np.array_equal(edited[~outside], np.asarray(photo)[~outside])
    assert np.array_equal(pixels(fetched(job, "masks/edit-1.png")), np.where(outside, 0, 255))
    for each in (image, mask):
        api.delete(each["links"]["self"])


def is_gone(image: dict) -> bool:
    return httpx.get(image["url"], timeout=ANSWER).status_code != 200


@pytest.mark.parametrize("where", ["api", "served_on_s3"])
def test_a_mask_painted_on_a_clear_layer_bounds_an_edit(request, until, where):
    """White on white, if it were laid on paper as a picture is."""
    place = request.getfixturevalue(where)
    api, until = (place, until) if where == "api" else (place.api, place.until)
    photo, drawn = slope((90, 60)), Image.new("RGBA", (90, 60), (255, 255, 255, 0))
    drawn.paste((255, 255, 255, 255), (30, 10, 60, 40))
    image, mask = sent(api, file_of(photo)), sent(api, file_of(drawn))
    assert mask["as_mask"] == {"alpha": 900 / 5400, "colour": 1}

    job = until(posted(api, masked_edit(image, mask)))

    assert job["status"] == "succeeded", job["error"]
    assert job["spec"]["targets"][0]["local_blend"]["mask"]["read_by"] == "alpha"
    outside = np.ones((60, 90), bool)
    outside[10:40, 30:60] = False
    assert np.array_equal(pixels(fetched(job, "masks/edit-1.png")), np.where(outside, 0, 255))
    assert np.array_equal(pixels(fetched(job, "edit-1.png"))[outside], np.asarray(photo)[outside])
    for each in (image, mask):
        api.delete(each["links"]["self"])


def test_pictures_stay_until_the_edit_that_needs_them_has_ended(tiny_models, tmp_path):
    """Edits wait for a worker until the lifetime of pictures is over, which is that of three uploads and more."""
    settings = {"OMP_NUM_THREADS": "1", "IMAGE_LIFETIME": "30", "SWEEP_INTERVAL": "0.2"}
    with (
        stack(tmp_path, {}, models_file=tiny_models, settings=settings) as started,
        httpx.Client(base_url=started.url, timeout=ANSWER) as api,
    ):
        image, unneeded = (sent(api, file_of(Image.new("RGB", (40, 40), colour))) for colour in ("gray", "red"))
        half = Image.new("L", (40, 40))
        half.paste(255, (0, 0, 20, 40))
        mask = sent(api, file_of(half))
        waiting = [posted(api, edit_of(image)), posted(api, masked_edit(image, mask))]
        assert eventually(lambda: is_gone(unneeded))

        statuses = [httpx.get(each["url"], timeout=ANSWER).status_code for each in (image, mask)]
        command = python("-m", "worker", "--model", "tiny")
        with running("worker", command, tmp_path / "worker.log", started.environment):
            ended = [waiter(api)(address)["status"] for address in waiting]

    assert (statuses, ended) == ([200, 200], ["succeeded", "succeeded"])
