"""What FastAPI does not know about these routes: a body may be a form, and an answer may be a stream."""

from typing import Any

from service.openai.streaming import STREAM

#: Which errors they may answer with.
STATUSES = (400, 401, 413, 415, 422, 429, 500, 503, 504)
SUCCESS: dict[str, Any] = {"content": {"text/event-stream": STREAM}}

_FILE = {"type": "string", "format": "binary"}
_AS_JSON = {"type": "string", "contentMediaType": "application/json"}
_TEXT, _NUMBER, _WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}

#: An edit as a form. Each field means what it does in the JSON of the same address.
FORM: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "title": "PictureEditForm",
            "additionalProperties": False,
            "required": ["image", "prompt", "source_prompt"],
            "properties": {
                "image": {**_FILE, "description": "PNG, JPEG, WebP, AVIF or HEIC; one."},
                "mask": {**_FILE, "description": "Where it is transparent, the picture may change, and nowhere else."},
                "prompt": {**_TEXT, "description": "What the edited picture shows, in the words of a caption."},
                "source_prompt": {**_TEXT, "description": "What the picture shows now."},
                "model": _TEXT,
                "n": _WHOLE,
                "size": _TEXT,
                "output_format": {**_TEXT, "enum": ["png", "jpeg", "webp"]},
                "response_format": {**_TEXT, "enum": ["b64_json", "url"]},
                "stream": {"type": "boolean"},
                "partial_images": _WHOLE,
                "user": _TEXT,
                "safety_identifier": _TEXT,
                "background": {**_TEXT, "enum": ["auto", "opaque"]},
                "quality": {**_TEXT, "enum": ["auto"]},
                "moderation": {**_TEXT, "enum": ["auto"]},
                "negative_prompt": _TEXT,
                "strength": {**_NUMBER, "minimum": 0, "maximum": 1},
                "seed": _WHOLE,
                "steps": _WHOLE,
                "guidance_scale": _NUMBER,
                "edits": {**_AS_JSON, "description": "As in a target of `POST /v1/edits`, as JSON."},
                "weights": {**_AS_JSON, "description": "As there, as JSON."},
                "local_blend": {**_AS_JSON, "description": "As there, as JSON; beside `mask`."},
                "metadata": {**_AS_JSON, "description": "Texts of yours, as JSON."},
            },
        }
    }
}
