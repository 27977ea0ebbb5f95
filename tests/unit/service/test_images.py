"""Pictures that are sent: read by their content, kept as they were seen, named by edits."""

import io
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image

from jobs.images import image_key
from picture_files.reading import ImageLimits, ImageReader
from service.api_keys import Caller, Limits
from service.images.mask_checks import have_one_shape
from tests.kept_inversions import kept_inversion


def file_of(image: Image.Image, form: str = "PNG", **how: object) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **how)
    return data.getvalue()


def halves(size: tuple[int, int] = (40, 30)) -> Image.Image:
    """Red, and green in its lower right quarter: every way of turning it is another picture."""
    image = Image.new("RGB", size, (200, 30, 20))
    image.paste((20, 160, 40), (size[0] // 2, size[1] // 2, *size))
    return image


@pytest.fixture
def send(client):
    def sent(data: bytes, name: str = "photo.png", kind: str = "image/png"):
        return client.post("/v1/images", files={"image": (name, data, kind)})

    return sent


@pytest.fixture
def kept(parts, send):
    """The pixels as they are kept of a file that is sent."""

    def stored(data: bytes) -> Image.Image:
        response = send(data)
        assert response.status_code == 201, response.text
        image = Image.open(io.BytesIO(parts.storage.read(image_key(response.json()["id"]))))
        assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})
        return image

    return stored


def test_a_picture_that_is_sent_gets_an_id_and_an_address(client, send):
    response = send(file_of(halves()))

    image = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v1/images/{image['id']}"
    assert (image["width"], image["height"], image["format"]) == (40, 30, "PNG")
    assert client.get(response.headers["Location"]).json() == image
    assert np.array_equal(Image.open(io.BytesIO(client.get(image["url"]).content)), halves())


def test_the_same_pixels_have_the_same_digest_in_any_file(send):
    digests = {
        send(data).json()["digest"]
        for data in (file_of(halves()), file_of(halves(), compress_level=0), file_of(halves(), "WEBP", lossless=True))
    }

    assert len(digests) == 1
    assert send(file_of(halves((30, 40)))).json()["digest"] not in digests


def test_neither_the_name_nor_the_declared_type_says_what_a_file_is(send):
    assert send(file_of(halves(), "WEBP"), "photo.gif", "text/html").json()["format"] == "WEBP"
    assert send(file_of(halves(), "GIF"), "photo.png", "image/png").json()["errors"][0]["code"] == "not_an_image"


def test_an_erased_picture_is_gone(client, send, parts):
    address = send(file_of(halves())).headers["Location"]

    assert client.delete(address).status_code == 204

    assert (client.get(address).status_code, client.get(address).json()["code"]) == (404, "image_not_found")
    assert client.delete(address).status_code == 404
    assert parts.images.kept == {}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_image"),
        (b"GIF89a" + bytes(100), "not_an_image"),
        (file_of(halves())[:90], "broken_image"),
        (file_of(Image.new("RGB", (2000, 1000))), "image_too_many_pixels"),
        (file_of(halves(), icc_profile=bytes(5_000_000)), "image_metadata_too_large"),
    ],
)
def test_a_file_that_is_not_taken_is_refused_at_its_part(send, parts, data, code):
    response = send(data)

    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "invalid_image")
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/image", code)]
    assert parts.images.kept == {}


def test_a_form_without_a_picture_is_told_what_is_missing(client):
    problem = client.post("/v1/images", files={"picture": b"x"}).json()

    said = [(error["pointer"], error["code"]) for error in problem["errors"]]
    assert said == [("/image", "missing_field"), ("/picture", "unknown_field")]


@pytest.mark.parametrize("address", ["/v1/images", "/v1/verifications"])
@pytest.mark.parametrize(
    ("further", "pointer", "code"),
    [
        ([("subjct", (None, "user-1"))], "/subjct", "unknown_field"),
        ([("image", ("b.png", b"x"))], "/image", "part_repeated"),
    ],
)
def test_a_part_that_would_be_passed_over_is_refused(client, parts, address, further, pointer, code):
    """A misspelt `subject` would leave the picture where that subject is erased; of two, the last one would count."""
    problem = client.post(address, files=[("image", ("a.png", file_of(Image.new("RGB", (8, 8))))), *further]).json()

    assert problem["code"] == "invalid_request"
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]
    assert parts.images.kept == {}


@pytest.mark.parametrize(
    ("subjects", "code"), [(("user-1", "user-2"), "part_repeated"), (("",), "too_short"), (("a b",), None)]
)
def test_a_subject_that_names_nobody_or_several_is_refused(client, parts, subjects, code):
    """An empty one, such as of a variable that is not set, left a picture of nobody's."""
    said = [("subject", (None, subject)) for subject in subjects]
    problem = client.post("/v1/images", files=[("image", ("a.png", file_of(Image.new("RGB", (8, 8))))), *said]).json()

    found = [(error["pointer"], error["code"]) for error in problem["errors"]]
    assert found == [("/subject", code or "string_pattern_mismatch")]
    assert parts.images.kept == {}


def test_a_form_that_is_cut_short_is_no_form(client):
    response = client.post(
        "/v1/images", content=b"--x\r\nContent-Dis", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert response.status_code in {400, 422}
    response = client.post("/v1/images", content=b"--x\r\n", headers={"content-type": "multipart/form-data"})
    assert (response.status_code, response.json()["code"]) == (400, "not_multipart")


def test_a_file_beyond_the_limit_is_not_read(serve):
    client = serve(max_image_bytes=1000)

    response = client.post("/v1/images", files={"image": bytes(40_000)})

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_other_bodies_keep_their_own_limit(serve, edit):
    client = serve(max_body_bytes=10, max_image_bytes=1_000_000)

    assert client.post("/v1/edits", json=edit).status_code == 413


def test_a_key_keeps_so_many_pictures_and_no_more(parts, serve):
    parts.plane = replace(parts.plane, images=replace(parts.plane.images, most=1))
    client = serve()
    files = {"image": file_of(halves())}

    kept, refused = (client.post("/v1/images", files=files) for _ in range(2))

    assert (kept.status_code, refused.status_code, refused.json()["code"]) == (201, 429, "too_many_images")
    # Whole seconds, never too soon.
    assert refused.headers["Retry-After"] == "2"


def test_pictures_are_listed_page_by_page_the_first_to_expire_first(client, send, parts):
    ids = [send(file_of(halves((40 + number, 30)))).json()["id"] for number in range(3)]
    ends = parts.images.kept[ids[0]].expires_at + timedelta(hours=1)
    parts.images.kept[ids[0]] = parts.images.kept[ids[0]].model_copy(update={"expires_at": ends})

    pages, cursor = [], {}
    while cursor is not None:
        page = client.get("/v1/images", params={"limit": 2, **cursor}).json()
        pages.append([image["id"] for image in page["images"]])
        cursor = page["cursor"] and {"cursor": page["cursor"]}

    assert pages == [[ids[1], ids[2]], [ids[0]]]
    (image, *_) = client.get("/v1/images").json()["images"]
    assert image == client.get(f"/v1/images/{ids[1]}").json()


@pytest.mark.parametrize("cursor", ["x", "MTIgYWJj", "MSAwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg"])
def test_a_cursor_of_another_list_is_none(client, cursor):
    response = client.get("/v1/images", params={"cursor": cursor})

    assert (response.status_code, response.json()["code"]) == (422, "invalid_cursor")


def test_what_is_transparent_is_laid_on_white(kept):
    image = halves().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))

    assert set(kept(file_of(image)).get_flattened_data()) == {(255, 255, 255)}


def photo(**image) -> dict:
    return {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach", "image": image},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    }


def test_an_edit_names_a_picture_that_was_sent(client, send, parts):
    upload = send(file_of(halves())).json()["id"]

    response = client.post("/v1/edits", json=photo(upload=upload))

    assert response.status_code == 202
    (job,) = parts.store.all()
    assert job.spec.source.image.upload == upload
    assert job.spec.source.image.fit == "cover"
    # Whatever the model's own scheduler is: no other has a way back.
    assert job.spec.sampling.scheduler == "ddim"


def test_a_picture_stays_as_long_as_an_edit_may_need_it(client, send, parts):
    image = send(file_of(halves())).json()
    client.post("/v1/edits", json=photo(upload=image["id"]))

    (job,) = parts.store.all()
    assert parts.images.kept[image["id"]].expires_at == job.expires_at


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"source": {"image": {"upload": "img_" + "0" * 32}}}, "/source/prompt", "picture_without_prompt"),
        (
            {"source": {"prompt": " ", "image": {"upload": "img_" + "0" * 32}}},
            "/source/prompt",
            "picture_without_prompt",
        ),
        (photo(upload="img_" + "0" * 32), "/source/image/upload", "image_not_found"),
        (photo(upload="../etc/passwd"), "/source/image/upload", "string_pattern_mismatch"),
        (photo(), "/source/image/upload", "image_not_named"),
        (photo(upload="img_" + "0" * 32, url="https://example.com/cat.png"), "/source/image/url", "image_named_twice"),
        (photo(upload="img_" + "0" * 32, fit="stretch"), "/source/image/fit", "literal_error"),
        (photo(url="https://example.com/cat.png"), "/source/image/url", "urls_not_taken"),
        ({"inversion": {"method": "direct"}}, "/inversion", "inversion_without_image"),
        ({"inversion": {"method": "magic"}}, "/inversion/method", "literal_error"),
        (
            {**photo(upload="img_" + "0" * 32), "inversion": {"method": "ddim", "inner_steps": 3}},
            "/inversion/inner_steps",
            "setting_of_another_inversion",
        ),
        (
            {**photo(upload="img_" + "0" * 32), "sampling": {"scheduler": "euler"}},
            "/sampling/scheduler",
            "unsupported_inversion",
        ),
        (
            {
                **photo(upload="img_" + "0" * 32),
                "inversion": {"method": "negative_prompt"},
                "sampling": {"negative_prompt": "a dog"},
            },
            "/sampling/negative_prompt",
            "unsupported_inversion",
        ),
        (
            {
                **photo(upload="img_" + "0" * 32),
                "inversion": {"method": "null_text"},
                "sampling": {"guidance_scale": 1},
            },
            "/sampling/guidance_scale",
            "unsupported_inversion",
        ),
        (
            {**photo(upload="img_" + "0" * 32), "artifacts": {"trajectory": True}},
            "/artifacts/trajectory",
            "trajectory_of_image",
        ),
        (
            {**photo(upload="img_" + "0" * 32), "sampling": {"seeds": [1, 2]}},
            "/sampling/seeds",
            "seeds_of_image",
        ),
    ],
)
def test_what_cannot_be_done_with_a_picture_is_pointed_at(client, edit, parts, change, pointer, code):
    response = client.post("/v1/edits", json=edit | change)

    problem = response.json()
    assert response.status_code == 422
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]
    assert parts.store.all() == []


def half_white(size: tuple[int, int]) -> Image.Image:
    """A mask: its left half may change."""
    image = Image.new("L", size)
    image.paste(255, (0, 0, size[0] // 2, size[1]))
    return image


def masked(*masks: str, source: dict | None = None) -> dict:
    targets = [
        {"prompt": "a dog on the beach", "edits": [{"kind": "replace"}], "local_blend": {"mask": {"upload": mask}}}
        for mask in masks
    ]
    return {"model": "tiny", "source": source or {"prompt": "a cat on the beach"}, "targets": targets}


def test_an_edit_names_masks_of_the_pictures_shape_at_any_resolution(client, send, parts):
    source = send(file_of(halves((333, 250)))).json()["id"]
    small, large = (send(file_of(half_white(size))).json()["id"] for size in ((100, 75), (666, 500)))

    response = client.post(
        "/v1/edits", json=masked(small, large, source={"prompt": "a cat on the beach", "image": {"upload": source}})
    )

    assert response.status_code == 202, response.text
    (job,) = parts.store.all()
    assert {index: mask.upload for index, mask in job.spec.masks.items()} == {0: small, 1: large}
    assert {parts.images.kept[each].expires_at for each in (source, small, large)} == {job.expires_at}


def test_a_mask_of_a_generated_picture_has_the_shape_that_is_drawn(client, send, parts):
    square, wide = (send(file_of(half_white(size))).json()["id"] for size in ((100, 100), (100, 75)))

    assert client.post("/v1/edits", json=masked(square)).status_code == 202
    problem = client.post("/v1/edits", json=masked(square, wide, "img_" + "0" * 32)).json()

    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
        ("/targets/1/local_blend/mask/upload", "mask_of_another_shape"),
        ("/targets/2/local_blend/mask/upload", "image_not_found"),
    ]
    assert len(parts.store.all()) == 1


def test_a_batch_points_at_the_edit_whose_mask_is_not_there(client, send):
    square = send(file_of(half_white((100, 100)))).json()["id"]

    problem = client.post("/v1/batches", json={"edits": [masked(square), masked("img_" + "0" * 32)]}).json()

    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == ("/edits/1/targets/0/local_blend/mask/upload", "image_not_found")


@pytest.mark.parametrize(
    ("size", "other", "one"),
    [
        ((4000, 3000), (64, 48), True),
        ((4000, 3001), (64, 48), True),
        ((4001, 2999), (400, 300), True),
        ((4000, 3000), (400, 298), False),
        ((4000, 3000), (3000, 4000), False),
        ((1, 500), (1, 500), True),
    ],
)
def test_two_sizes_are_one_shape_up_to_whole_pixels(size, other, one):
    assert have_one_shape(size, other) is have_one_shape(other, size) is one


def test_a_picture_without_a_prompt_is_told_what_to_write(client, edit):
    problem = client.post("/v1/edits", json=edit | {"source": {"image": {"upload": "img_" + "0" * 32}}}).json()

    assert 'say in a few words what it shows, such as "a cat on a beach"' in problem["detail"]


def test_a_picture_of_somebody_else_is_none(client, send, parts, monkeypatch):
    upload = send(file_of(halves())).json()["id"]

    async def other(_):
        return Caller(owner="other", limits=Limits())

    monkeypatch.setattr(parts.plane.callers, "of", other, raising=False)
    problem = client.post("/v1/edits", json=photo(upload=upload)).json()
    of_mask = client.post("/v1/edits", json=masked(upload)).json()

    assert problem["errors"][0]["code"] == of_mask["errors"][0]["code"] == "image_not_found"
    assert client.get(f"/v1/images/{upload}").status_code == 404


def test_a_request_that_is_sent_again_is_the_same_edit_though_its_picture_is_gone(client, send, parts):
    image = send(file_of(halves())).json()
    body, key = photo(upload=image["id"]), {"Idempotency-Key": "mine"}
    first = client.post("/v1/edits", json=body, headers=key).json()
    client.delete(image["links"]["self"])

    again = client.post("/v1/edits", json=body, headers=key)

    assert (again.status_code, again.json()["id"]) == (202, first["id"])


def test_a_reader_that_is_out_of_memory_says_so(parts, serve):
    # As much memory as Python needs, and nine million pixels do not fit into, twice.
    tight = ImageReader(ImageLimits(bytes=1, pixels=10_000_000, seconds=5, at_once=1, memory=100 * 2**20))
    parts.plane = replace(parts.plane, images=replace(parts.plane.images, reader=tight))

    problem = serve().post("/v1/images", files={"image": file_of(Image.new("RGB", (3000, 3000)))}).json()

    assert problem["errors"][0]["code"] == "image_too_heavy"


def ahead(**image) -> dict:
    return {"model": "tiny", "source": {"prompt": "a cat on the beach", "image": image}}


def test_an_inversion_made_ahead_is_an_edit_without_targets(client, send, parts):
    upload = send(file_of(halves())).json()["id"]

    response = client.post("/v1/inversions", json=ahead(upload=upload) | {"inversion": {"method": "ddim"}})

    (job,) = parts.store.all()
    assert (response.status_code, response.headers["Location"]) == (202, f"/v1/edits/{job.id}")
    assert (job.spec.targets, job.spec.inversion.method, job.spec.source.image.upload) == ((), "ddim", upload)


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"source": {"prompt": "a cat"}}, "/source/image", "image_not_named"),
        ({"sampling": {"scheduler": "euler"}}, "/sampling/scheduler", "unsupported_inversion"),
        ({"targets": []}, "/targets", "unknown_field"),
        ({}, "/source/image/upload", "image_not_found"),
    ],
)
def test_what_cannot_be_inverted_is_pointed_at(client, change, pointer, code):
    problem = client.post("/v1/inversions", json=ahead(upload="img_" + "0" * 32) | change).json()

    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]


def test_with_a_picture_go_the_inversions_of_it_and_no_others(client, send, parts):
    images = [send(file_of(halves(size))).json()["id"] for size in ((40, 30), (30, 40))]
    for number, image in enumerate(images):
        parts.inversions.kept[str(number)] = kept_inversion(str(number), image)

    client.delete(f"/v1/images/{images[0]}")

    assert [each["image"] for each in client.get("/v1/inversions").json()["inversions"]] == [images[1]]
