"""What a picture says of its origin is told, and kept of what is sent to be edited."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jobs.images import image_key
from jobs.provenance import CREDENTIALS_CHUNK, EDITED, GENERATED, source_type_of, xmp_packet
from picture_files.reading import ImageReader
from tests.credentials import SIGNER, active, made_chain, read_credentials
from worker.credentials import Statement, load_credentials
from worker.encoding import ENCODINGS, encoded

FORMATS = sorted(ENCODINGS)
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return load_credentials(made_chain().setting(tmp_path_factory.mktemp("chain")))


@pytest.fixture
def signed(credentials):
    def made(name: str = "png") -> bytes:
        encoding = ENCODINGS[name]
        statement = Statement(title="edit-1", source_type=GENERATED, job="abc", manifest_digest="00ff")
        return credentials.signed(encoded(PICTURE, encoding, GENERATED), encoding.content_type, statement)

    return made


@pytest.fixture
def verify(client):
    return lambda data: client.post("/v1/verifications", files={"image": ("photo", data)})


@pytest.mark.parametrize("name", FORMATS)
def test_a_signed_picture_is_valid_and_says_who_made_it_and_how(verify, signed, name):
    said = verify(signed(name)).json()

    # Nobody is trusted without a setting.
    problems = said["credentials"].pop("problems")
    assert set(problems) <= {"signingCredential.untrusted"}
    assert said == {
        "format": ENCODINGS[name].pillow,
        "marked": True,
        "source_type": GENERATED,
        "credentials": {
            "state": "valid",
            "signed_by": SIGNER,
            "signed_at": None,
            "generator": "p2p-edit-service",
            "ingredients": [],
            "job": "abc",
            "manifest_digest": "00ff",
        },
    }


def test_the_installations_anchors_are_trusted(parts, serve, signed, tmp_path):
    (tmp_path / "root.pem").write_bytes(made_chain().root)
    reader = ImageReader(parts.plane.images.reader.limits, tmp_path / "root.pem")
    parts.plane = replace(parts.plane, images=replace(parts.plane.images, reader=reader))

    said = serve().post("/v1/verifications", files={"image": signed()}).json()

    assert (said["credentials"]["state"], said["credentials"]["problems"]) == ("trusted", [])


def test_credentials_of_a_picture_that_was_changed_say_nothing(verify, signed):
    data = bytearray(signed("jpeg"))
    data[-20] ^= 1

    said = verify(bytes(data)).json()

    assert said["credentials"]["state"] == "invalid"
    assert "assertion.dataHash.mismatch" in said["credentials"]["problems"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_mark_without_a_signature_is_told_apart(verify, name):
    assert verify(encoded(PICTURE, ENCODINGS[name], EDITED)).json() == {
        "format": ENCODINGS[name].pillow,
        "marked": True,
        "source_type": EDITED,
        "credentials": None,
    }


@pytest.mark.parametrize(
    ("source_type", "marked"), [("compositeSynthetic", True), ("algorithmicMedia", False), ("digitalCapture", False)]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_others_marks_are_read(verify, source_type, marked, scheme):
    """A composite of which a model made an element; what a program computed without one, and a photo, are no marks."""
    packet = xmp_packet(source_type).replace(b'DigitalSourceType="http:', f'DigitalSourceType="{scheme}:'.encode())
    file = io.BytesIO()
    PICTURE.save(file, "JPEG", xmp=packet)

    said = verify(file.getvalue()).json()

    assert (said["marked"], said["source_type"]) == (marked, source_type)


@pytest.mark.parametrize(("data", "marked"), [(b"", False), (b"jumb c2pa", False)])
def test_a_picture_that_says_nothing_is_not_marked(verify, data, marked):
    """Also one that holds the names of credentials, and none."""
    said = verify(encoded(PICTURE, ENCODINGS["jpeg"]) + data).json()

    assert (said["marked"], said["source_type"], said["credentials"]) == (marked, None, None)


def test_what_is_no_picture_is_refused_at_its_part(verify):
    response = verify(b"no picture")

    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "not_an_image"


@pytest.mark.parametrize("name", FORMATS)
def test_a_photo_that_is_sent_keeps_what_it_said_of_its_origin(client, parts, signed, credentials, name):
    image = client.post("/v1/images", files={"image": signed(name)}).json()

    assert image["provenance"] == {"source_type": GENERATED, "credentials": True}
    kept = parts.storage.read(image_key(image["id"]))
    file = Image.open(io.BytesIO(kept))
    assert source_type_of(file.info["xmp"]) == GENERATED
    (archive,) = (data for chunk, data, *_ in file.private_chunks if chunk == CREDENTIALS_CHUNK)
    said = Statement(title="", source_type=EDITED, job="", manifest_digest="", of_photo=True, parent=archive)
    state, store = read_credentials(credentials.signed(kept, "image/png", said), "image/png")
    assert state == "Valid"
    (ingredient,) = active(store)["ingredients"]
    assert store["manifests"][ingredient["active_manifest"]]["title"] == "edit-1"


def test_the_same_picture_has_the_same_digest_with_marks_and_without(client, signed):
    digests = {
        client.post("/v1/images", files={"image": data}).json()["digest"]
        for data in (signed(), encoded(PICTURE, ENCODINGS["png"]))
    }

    assert len(digests) == 1
