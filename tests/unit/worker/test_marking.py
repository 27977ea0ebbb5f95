"""Pictures say that a machine made or edited them, and their pixels are the same."""

import io
import json
from hashlib import sha256

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jobs.provenance import CREDENTIALS_CHUNK, EDITED, GENERATED, JOB_ASSERTION, source_type_of, xmp_packet
from p2p.spec import EditSpec
from tests.credentials import active, made_chain, read_credentials
from tests.unit.worker.conftest import SPEC
from worker.credentials import InvalidCredentials, NotSigned, Statement, load_credentials
from worker.encoding import ENCODINGS, encoded
from worker.engine import Engine
from worker.events import ArtifactReady, Failed, Finished
from worker.marking import Marking
from worker.photo import photo_of
from worker.previews import sheet
from worker.watermark import InvalidWatermark, Watermarks, load_watermark

FORMATS = sorted(ENCODINGS)


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return load_credentials(made_chain().setting(tmp_path_factory.mktemp("chain")))


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def statement(**change: object) -> Statement:
    said = {"title": "edit-1.png", "source_type": GENERATED, "job": "abc", "manifest_digest": "00"}
    return Statement(**{**said, **change})


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_says_where_its_picture_comes_from_and_shows_the_same(picture, name):
    plain, marked = (encoded(picture, ENCODINGS[name], source_type) for source_type in (None, EDITED))

    assert source_type_of(Image.open(io.BytesIO(marked)).info["xmp"]) == EDITED
    assert np.array_equal(pixels_of(plain), pixels_of(marked))
    # The packet, and what WebP needs to have any.
    assert len(marked) - len(plain) < len(xmp_packet(EDITED)) + 100


def test_every_picture_of_a_job_says_so_without_any_setting(engine, plane):
    files = {each.name: each for each in engine.run(plane.job) if isinstance(each, ArtifactReady)}

    marked = {
        name: source_type_of(Image.open(io.BytesIO(each.data)).info.get("xmp"))
        for name, each in files.items()
        if each.kind in ("image", "heatmap")
    }
    assert len(marked) > 3
    assert set(marked.values()) == {GENERATED}


def test_previews_say_so_too(picture):
    file = Image.open(io.BytesIO(sheet([picture, picture], GENERATED)))

    assert source_type_of(file.info["xmp"]) == GENERATED


@pytest.mark.parametrize("name", FORMATS)
def test_a_signed_picture_verifies_and_shows_the_same(picture, credentials, name):
    encoding = ENCODINGS[name]
    unsigned = encoded(picture, encoding, GENERATED)

    signed = credentials.signed(unsigned, encoding.content_type, statement())

    state, store = read_credentials(signed, encoding.content_type)
    assert state == "Valid"
    assert read_credentials(signed, encoding.content_type, made_chain())[0] == "Trusted"
    assert np.array_equal(pixels_of(unsigned), pixels_of(signed))
    assert source_type_of(Image.open(io.BytesIO(signed)).info["xmp"]) == GENERATED
    assert len(signed) - len(unsigned) < 4000
    (action,) = active(store)["assertions"][0]["data"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")


def test_a_signed_picture_that_is_changed_verifies_no_more(picture, credentials):
    signed = bytearray(credentials.signed(encoded(picture, ENCODINGS["jpeg"]), "image/jpeg", statement()))
    signed[-20] ^= 1

    assert read_credentials(bytes(signed), "image/jpeg")[0] == "Invalid"


@pytest.mark.parametrize("name", FORMATS)
def test_an_edited_photo_keeps_the_credentials_that_it_came_with(picture, credentials, name):
    from picture_files.decoding.credentials import archived

    encoding = ENCODINGS[name]
    sent = credentials.signed(encoded(picture, encoding), encoding.content_type, statement(title="sent"))
    parent = archived(sent)
    said = statement(of_photo=True, source_type=EDITED, parent=parent)

    signed = credentials.signed(encoded(picture, encoding, EDITED), encoding.content_type, said)

    state, store = read_credentials(signed, encoding.content_type)
    assert state == "Valid"
    (ingredient,) = active(store)["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    assert store["manifests"][ingredient["active_manifest"]]["title"] == "sent"
    actions = active(store)["assertions"][0]["data"]["actions"]
    assert [each["action"] for each in actions] == ["c2pa.opened", "c2pa.edited"]
    assert actions[1]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")


def test_a_worker_finds_the_credentials_in_the_kept_photo(picture):
    info = PngInfo()
    info.add(CREDENTIALS_CHUNK, b"an archive")
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=info)
    spec = EditSpec.model_validate(
        {**SPEC, "source": {**SPEC["source"], "image": {"upload": "img_" + "0" * 32}}, "targets": SPEC["targets"][:1]}
    )

    assert photo_of(spec, lambda key: file.getvalue()).credentials == b"an archive"
    assert photo_of(spec, lambda key: encoded(picture, ENCODINGS["png"])).credentials is None


def test_an_edited_photo_without_credentials_is_an_ingredient_all_the_same(picture, credentials):
    said = statement(of_photo=True, source_type=EDITED)

    signed = credentials.signed(encoded(picture, ENCODINGS["png"]), "image/png", said)

    state, store = read_credentials(signed, "image/png")
    assert state == "Valid"
    assert [each["relationship"] for each in active(store)["ingredients"]] == ["parentOf"]


def test_the_pictures_of_a_job_are_signed_with_its_id_and_its_manifests_digest(sampler, plane, credentials):
    engine = Engine(sampler, plane.declaration, revision="r", marking=Marking(signing=credentials))

    files = [each for each in engine.run(plane.job) if isinstance(each, ArtifactReady)]

    (manifest,) = (each.data for each in files if each.kind == "manifest")
    pictures = [each for each in files if each.kind == "image"]
    assert len(pictures) == 3
    for each in pictures:
        state, store = read_credentials(each.data, each.content_type)
        (said,) = (found["data"] for found in active(store)["assertions"] if found["label"] == JOB_ASSERTION)
        assert state == "Valid"
        assert active(store)["title"] == each.name
        assert said == {
            "job": plane.job.id,
            "manifest": {"alg": "sha256", "digest": sha256(manifest).hexdigest()},
        }
        assert not any(prompt in json.dumps(store) for prompt in plane.job.spec.prompts)


class _Away:
    """A signer whose vault does not answer."""

    def signed(self, data: bytes, content_type: str, statement: Statement) -> bytes:
        raise NotSigned("the vault does not answer")


def test_what_cannot_be_signed_is_not_shown(sampler, plane):
    engine = Engine(sampler, plane.declaration, revision="r", marking=Marking(signing=_Away()))

    events = list(engine.run(plane.job))

    assert isinstance(events[-1], Failed)
    assert events[-1].code == "marking_failed"
    assert not any(isinstance(each, ArtifactReady) for each in events)


def by_hand(data: bytes) -> bytes:
    """A signer as an installation would write one: its key never leaves it. C2PA wants r and s, not DER."""
    key = serialization.load_pem_private_key(made_chain().key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_signer_of_the_installations_signs(picture, tmp_path):
    made_chain().setting(tmp_path)
    credentials = load_credentials(f"{tmp_path / 'chain.pem'},{__name__}:by_hand")

    signed = credentials.signed(encoded(picture, ENCODINGS["png"]), "image/png", statement())

    assert read_credentials(signed, "image/png")[0] == "Valid"


def test_what_cannot_sign_is_said_at_the_start(tmp_path):
    setting = made_chain().setting(tmp_path)
    (tmp_path / "other.pem").write_text("no key")
    for wrong in ("chain.pem", "a.pem,b.pem", f"{setting}.old", setting.replace("key.pem", "other.pem")):
        with pytest.raises(InvalidCredentials, match="CONTENT_CREDENTIALS cannot be used"):
            load_credentials(wrong)
    with pytest.raises(InvalidCredentials):
        load_credentials(f"{tmp_path / 'chain.pem'},worker.credentials:nothing_there")
    assert load_credentials("") is None


def painted_red(unmarked) -> Image.Image:
    """A watermark that anybody sees."""
    if unmarked.index == 2:
        raise RuntimeError("cannot mark this")
    image = unmarked.picture
    image.paste((255, 0, 0), (0, 0, 4, 4))
    return image


def test_a_watermark_is_in_every_picture_and_its_heat_maps_and_moderation_has_seen_none(sampler, plane):
    target = plane.job.spec.targets[:1]
    job = plane.job.model_copy(update={"spec": plane.job.spec.model_copy(update={"targets": target})})
    marking = Marking(Watermarks(painted_red))

    files = list(Engine(sampler, plane.declaration, revision="r", marking=marking).run(job))

    assert files[-1] == Finished()
    shown = [each for each in files if isinstance(each, ArtifactReady) and each.kind == "image"]
    assert len(shown) == 2
    assert all((pixels_of(each.data)[:4, :4] == (255, 0, 0)).all() for each in shown)


def test_where_one_picture_cannot_be_marked_none_is_shown(sampler, plane):
    marking = Marking(Watermarks(painted_red))

    events = list(Engine(sampler, plane.declaration, revision="r", marking=marking).run(plane.job))

    assert events[-1].code == "marking_failed"
    assert not any(isinstance(each, ArtifactReady) for each in events)


def test_a_watermark_that_is_not_there_is_said_at_the_start():
    for wrong in ("nothing", "no.such.module:function", "worker.watermark:log"):
        with pytest.raises(InvalidWatermark, match="WATERMARK="):
            load_watermark(wrong)
    assert load_watermark("") is None
