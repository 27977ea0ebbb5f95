"""An edited photo says what it is, all the way from a real worker to the detector."""

import io
from hashlib import sha256

import httpx
from PIL import Image

from jobs.provenance import EDITED, GENERATED, source_type_of
from stack.services import stack
from tests.credentials import SIGNER, active, made_chain, read_credentials
from tests.integration.conftest import waiter
from tests.integration.test_photos import edit_of, fetched, file_of, posted, sent
from tests.patience import ANSWER
from tests.unit.worker.test_fitting import slope
from worker.credentials import Statement, load_credentials


def test_an_edited_photo_is_signed_and_has_the_photos_own_credentials_as_its_parent(tmp_path, tiny_models):
    setting = made_chain().setting(tmp_path)
    credentials = load_credentials(setting)
    assert credentials is not None
    said = Statement(title="what was sent", source_type=GENERATED, job="", manifest_digest="")
    photo = credentials.signed(file_of(slope((64, 64)), "JPEG"), "image/jpeg", said)
    settings = {
        "CONTENT_CREDENTIALS": setting,
        "TRUST_ANCHORS": str(tmp_path / "root.pem"),
        "AUDIT_LOG": str(tmp_path / "audit.log"),
    }

    with (
        stack(tmp_path / "stack", {"tiny": 1}, models_file=tiny_models, settings=settings) as served,
        httpx.Client(base_url=served.url, timeout=ANSWER) as api,
    ):
        image = sent(api, photo)
        job = waiter(api)(posted(api, edit_of(image)))
        assert job["status"] == "succeeded", job["error"]
        manifest = sha256(fetched(job, "manifest.json")).hexdigest()
        for name in ("source.png", "edit-1.png"):
            data = fetched(job, name)
            verified = api.post("/v1/verifications", files={"image": data}).json()
            state, store = read_credentials(data, "image/png", made_chain())

            assert state == "Trusted"
            (parent,) = active(store)["ingredients"]
            assert store["manifests"][parent["active_manifest"]]["title"] == "what was sent"
            assert source_type_of(Image.open(io.BytesIO(data)).info["xmp"]) == EDITED
            assert (verified["marked"], verified["source_type"]) == (True, EDITED)
            assert verified["credentials"]["state"] == "trusted"
            assert verified["credentials"]["signed_by"] == SIGNER
            assert (verified["credentials"]["job"], verified["credentials"]["manifest_digest"]) == (job["id"], manifest)
        assert api.delete(f"/v1/images/{image['id']}").status_code == 204

    assert [line.count('"image_erased"') for line in (tmp_path / "audit.log").read_text().splitlines()] == [1]
