"""Request bodies with every field set, and ways through all of their values."""

import copy
from collections.abc import Iterator
from typing import Any

UPLOAD = "img_" + "0" * 32
_WINDOW = {"start": 0.1, "stop": 0.5, "unit": "share"}
_WORD = {"word": "dog", "occurrence": 1}
EDIT: dict[str, Any] = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach", "image": {"upload": UPLOAD, "fit": "cover"}},
    "inversion": {"method": "null_text", "inner_steps": 5, "tolerance": 0.1},
    "targets": [
        {
            "prompt": "a dog on the beach",
            "edits": [{"kind": "replace"}, {"kind": "reweight", "weights": [{**_WORD, "weight": 2}]}],
            "cross_window": _WINDOW,
            "word_windows": [{**_WORD, "window": _WINDOW}],
            "self_window": _WINDOW,
            "mass": "mass_matched",
            "local_blend": {
                "words": [_WORD],
                "source_words": [{"word": "cat", "occurrence": 1}],
                "subtract_words": [{"word": "beach"}],
                "source_subtract_words": [{"word": "beach"}],
                "box": {"left": 0, "top": 0, "right": 0.5, "bottom": 0.5},
                "mask": {"upload": UPLOAD},
                "start": 0.2,
                "threshold": 0.3,
                "subtract_threshold": 0.3,
                "fresh_noise": True,
            },
        },
        {
            "prompt": "a beach",
            "edits": [
                {"kind": "refine", "filled_by": [{"word": "beach", "occurrence": 1}]},
                {"kind": "reweight", "weights": [{"word": "beach", "weight": 0.5}], "by": "guidance"},
            ],
        },
    ],
    "sampling": {
        "steps": 3,
        "scheduler": "ddim",
        "guidance_scale": 2.5,
        "seed": 7,
        "negative_prompt": "blurry",
        "height": 32,
        "width": 32,
        "alone": True,
    },
    "artifacts": {"format": "png", "heatmaps": True, "raw_maps": False, "trajectory": False, "previews": 2},
    "webhook": {"url": "https://example.com/told", "events": ["edit.failed"]},
    "compat": "reference",
    "loras": [{"id": "ink", "weight": 0.5}],
    "long_prompts": "refuse",
    "priority": "high",
    "start_within": 60,
    "keep_for": 600,
    "store": False,
    "subject": "user-4711",
    "metadata": {"order": "77"},
    "prompt_syntax": "text",
}
#: What has no place beside edits of words.
PUBLISHED: dict[str, Any] = {
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": []}],
    "compat": "reference",
    "reference": {
        "method": "kivi",
        "steps": _WINDOW,
        "blocks": [0, 1],
        "read_blocks": [2],
        "blend_steps": _WINDOW,
        "blended_steps": 3,
        "tokenizer": "t5",
    },
}
BATCH: dict[str, Any] = {
    "edits": [EDIT],
    "webhook": {"url": "https://example.com/told", "events": ["batch.ended", "edit.failed"]},
    "subject": "user-4711",
    "metadata": {"order": "77"},
}
INVERSION: dict[str, Any] = {name: EDIT[name] for name in ("model", "source", "inversion", "sampling", "loras")}
ALIGNMENT: dict[str, Any] = {
    "long_prompts": "refuse",
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "kind": "replace"}],
}

Place = tuple[str | int, ...]


def places(body: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value of a body, with where it lies."""
    children = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in children:
        yield (*at, key), value
        yield from places(value, (*at, key))


def put(body: Any, place: Place, value: Any) -> Any:
    """The body with another value at a place."""
    changed = copy.deepcopy(body)
    _parent(changed, place)[place[-1]] = value
    return changed


def without(body: Any, place: Place) -> Any:
    """The body without the member at a place."""
    changed = copy.deepcopy(body)
    del _parent(changed, place)[place[-1]]
    return changed


def _parent(body: Any, place: Place) -> Any:
    for key in place[:-1]:
        body = body[key]
    return body
