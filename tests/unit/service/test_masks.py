"""Masks that are sent: read in whichever way they were painted, refused where they say nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from jobs.images import image_key, mask_key
from p2p.mask_reading import by_colour
from tests import painted
from tests.painted import BOX, SIZE, file_of

BY_ALPHA, BY_COLOUR, NOTHING = painted.by_alpha(), painted.by_colour(), painted.saying_nothing()
#: The share of the picture that the rectangle covers.
SHARE = float(painted.painted_box().mean())


@pytest.fixture
def sent(client):
    def send(data: bytes) -> dict:
        response = client.post("/v1/images", files={"image": ("mask.png", data)})
        assert response.status_code == 201, response.text
        return response.json()

    return send


@pytest.fixture
def photo(sent) -> str:
    return sent(file_of(Image.linear_gradient("L").resize(SIZE).convert("RGB")))["id"]


@pytest.fixture
def posted(client, photo):
    """The answer to an edit of a photo by a mask."""

    def post(**mask):
        target = {"prompt": "a dog on the beach", "edits": [{"kind": "replace"}], "local_blend": {"mask": mask}}
        source = {"prompt": "a cat on the beach", "image": {"upload": photo}}
        return client.post("/v1/edits", json={"model": "tiny", "source": source, "targets": [target]})

    return post


def white_in(parts, key: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(parts.storage.read(key))).convert("L")) > 0


@pytest.mark.parametrize("way", BY_ALPHA)
def test_a_mask_painted_on_a_clear_layer_is_read_by_its_alpha_whatever_its_colours(sent, posted, parts, way):
    mask = sent(BY_ALPHA[way])

    assert mask["as_mask"]["alpha"] == pytest.approx(SHARE)
    assert posted(upload=mask["id"]).status_code == 202
    (job,) = parts.store.all()
    assert (job.spec.masks[0].upload, job.spec.masks[0].read_by) == (mask["id"], "alpha")
    assert np.array_equal(white_in(parts, mask_key(mask["id"])), painted.painted_box())


@pytest.mark.parametrize("way", BY_COLOUR)
def test_a_mask_without_clear_pixels_is_read_by_its_colours(sent, posted, parts, way):
    mask = sent(BY_COLOUR[way])

    assert mask["as_mask"]["alpha"] in (None, 1)
    assert mask["as_mask"]["colour"] == pytest.approx(SHARE, abs=0.02)  # JPEG's edges
    assert posted(upload=mask["id"]).status_code == 202
    (job,) = parts.store.all()
    assert job.spec.masks[0].read_by == "colour"
    read = by_colour(Image.open(io.BytesIO(parts.storage.read(image_key(mask["id"])))))
    assert ((np.asarray(read) > 0) != painted.painted_box()).mean() < 0.02


@pytest.mark.parametrize("way", NOTHING)
def test_a_mask_that_bounds_nothing_is_refused_where_it_is_named(sent, posted, parts, way):
    response = posted(upload=sent(NOTHING[way])["id"])

    (error,) = response.json()["errors"]
    assert (response.status_code, error["code"]) == (422, "mask_uniform")
    assert error["pointer"] == "/targets/0/local_blend/mask/upload"
    assert parts.store.all() == []


def test_a_mask_can_be_read_by_what_the_edit_says(sent, posted, parts):
    """A screenshot of a mask: white on black, with a few clear pixels along its border."""
    image = painted.box_on("RGBA", (0, 0, 0, 255), (255, 255, 255, 255))
    image.paste((0, 0, 0, 0), (0, 0, 64, 1))
    upload = sent(file_of(image))["id"]

    assert posted(upload=upload).status_code == 202
    assert posted(upload=upload, read_by="colour").status_code == 202

    assert [job.spec.masks[0].read_by for job in parts.store.all()] == ["alpha", "colour"]


@pytest.mark.parametrize("read_by", ["alpha", "transparency"])
@pytest.mark.parametrize("way", ["grey", "an opaque alpha on everything"])
def test_alpha_that_says_nothing_is_not_read_for_it(sent, posted, way, read_by):
    response = posted(upload=sent(BY_COLOUR[way])["id"], read_by=read_by)

    (error,) = response.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/targets/0/local_blend/mask/upload", "mask_uniform")


def test_every_mask_that_is_wrong_is_pointed_at(client, sent, photo):
    good, white = sent(BY_ALPHA["black on clear"])["id"], sent(NOTHING["white"])["id"]
    other = sent(file_of(Image.new("L", (48, 64), 255)))["id"]
    targets = [
        {"prompt": "a dog on the beach", "edits": [{"kind": "replace"}], "local_blend": {"mask": {"upload": mask}}}
        for mask in (good, white, other)
    ]
    source = {"prompt": "a cat on the beach", "image": {"upload": photo}}

    problem = client.post("/v1/edits", json={"model": "tiny", "source": source, "targets": targets}).json()

    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
        ("/targets/1/local_blend/mask/upload", "mask_uniform"),
        ("/targets/2/local_blend/mask/upload", "mask_of_another_shape"),
        ("/targets/2/local_blend/mask/upload", "mask_uniform"),
    ]


def test_a_picture_is_kept_as_it_was_before_masks_had_alpha(sent, parts):
    """The same id, pixels and digest: white where it is clear."""
    clear = sent(BY_ALPHA["black on clear"])
    laid = Image.new("RGB", SIZE, "white")
    laid.paste((0, 0, 0), BOX)
    opaque = sent(file_of(laid))

    assert clear["digest"] == opaque["digest"]
    assert parts.storage.read(image_key(clear["id"])) == parts.storage.read(image_key(opaque["id"]))


def test_a_mask_that_was_sent_before_alpha_was_kept_still_does(sent, posted, parts):
    upload = sent(BY_COLOUR["grey"])["id"]
    record = parts.images.kept[upload]
    old = record.model_dump_json(exclude={"as_mask"})
    parts.images.kept[upload] = type(record).model_validate_json(old)

    assert posted(upload=upload).status_code == 202
    assert parts.store.all()[0].spec.masks[0].read_by is None
    assert posted(upload=upload, read_by="alpha").json()["errors"][0]["code"] == "mask_uniform"


def test_a_mask_is_named_once(posted):
    for mask, pointer, code in (
        ({}, "upload", "image_not_named"),
        ({"upload": "img_" + "0" * 32, "url": "https://example.com/"}, "url", "image_named_twice"),
        ({"url": "https://example.com/mask.png"}, "url", "urls_not_taken"),
        ({"url": ""}, "url", "too_short"),
    ):
        (error,) = posted(**mask).json()["errors"]
        assert (error["pointer"], error["code"]) == (f"/targets/0/local_blend/mask/{pointer}", code)
