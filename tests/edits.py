"""The edit that tests of the job plane post, where what it asks for does not matter."""

from p2p.spec import EditSpec

CAT_TO_DOG = EditSpec.model_validate(
    {
        "model": "scenes",
        "source": {"prompt": "a cat"},
        "targets": [{"prompt": "a dog", "edits": [{"kind": "replace"}]}],
    }
)
