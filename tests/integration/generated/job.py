"""Asks for one edit and waits for its end, with nothing but what the generator made of openapi.yaml."""

import base64
import io
import json
import sys

from generated import Client
from generated.api.edits import fetch_edit, submit_edit
from generated.api.images import send_image
from generated.models import BodySendImage, EditAccepted, EditRequest, EditView, ImageView, Problem
from generated.types import File

BODY = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    "sampling": {"steps": 2, "seed": 7},
}

with Client(base_url=sys.argv[1], timeout=60) as client:
    asked = submit_edit.sync(client=client, body=EditRequest.from_dict(BODY))
    assert isinstance(asked, EditAccepted), asked
    edit = fetch_edit.sync(asked.id, client=client)
    while isinstance(edit, EditView) and edit.status in ("queued", "running"):
        edit = fetch_edit.sync(asked.id, client=client, wait=20)
    assert isinstance(edit, EditView), edit
    refused = submit_edit.sync(client=client, body=EditRequest.from_dict({**BODY, "model": "none"}))
    assert isinstance(refused, Problem), refused
    picture = File(payload=io.BytesIO(base64.b64decode(sys.argv[2])), file_name="photo.png", mime_type="image/png")
    sent = send_image.sync(client=client, body=BodySendImage(image=picture))
    assert isinstance(sent, ImageView), sent

print(
    json.dumps(
        {
            "status": str(edit.status),
            "names": [each.name for each in edit.artifacts if each.kind == "image"],
            "code": refused.errors[0].code if refused.errors else None,
            "width": sent.width,
        }
    )
)
