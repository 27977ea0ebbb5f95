"""Prompts of more tokens than the model reads: refused, unless the request has them read in chunks."""

import pytest

from p2p.chunks import MAX_CHUNKS

#: 30 tokens with start and end, where the tiny model reads 24.
LONG = " ".join(["a cat on the beach at night"] * 4)


def edit(prompt: str = LONG, **fields) -> dict:
    return {
        "model": "tiny",
        "source": {"prompt": prompt},
        "targets": [{"prompt": prompt.replace("night", "beach"), "edits": [{"kind": "replace"}]}],
        **fields,
    }


def complaints(response) -> list[tuple[str, str]]:
    assert response.status_code == 422, response.text
    return [(error["pointer"], error["code"]) for error in response.json()["errors"]]


def test_they_are_refused_with_the_way_to_send_them(client):
    response = client.post("/v1/edits", json=edit())

    assert complaints(response) == [("/source/prompt", "prompt_too_long"), ("/targets/0/prompt", "prompt_too_long")]
    assert 'say "long_prompts": "chunks"' in response.json()["errors"][0]["detail"]


def test_in_chunks_they_are_taken_and_the_record_says_so(client, parts):
    response = client.post("/v1/edits", json=edit(long_prompts="chunks"))

    assert response.status_code == 202, response.text
    assert parts.store.get(response.json()["id"]).spec.long_prompts == "chunks"


def test_more_than_the_most_chunks_are_refused_and_no_chunks_are_recommended(client):
    response = client.post("/v1/edits", json=edit("cat " * (22 * MAX_CHUNKS + 1), long_prompts="chunks"))

    assert ("/source/prompt", "prompt_too_long") in complaints(response)
    assert "chunks" not in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    "fields",
    [{"compat": "reference"}, {"source": {"prompt": LONG, "image": {"upload": "img_" + "0" * 32}}}],
    ids=["as published", "of a photo"],
)
def test_chunks_where_there_are_none_are_refused(client, fields):
    response = client.post("/v1/edits", json=edit("a cat at night", long_prompts="chunks") | fields)

    assert ("/long_prompts", "chunks_not_here") in complaints(response)


def test_alignments_read_them_too(client):
    asked = {"model": "tiny", "source": {"prompt": LONG}, "targets": [{"prompt": LONG.replace("night", "beach")}]}

    assert client.post("/v1/alignments", json=asked).status_code == 422
    found = client.post("/v1/alignments", json={**asked, "long_prompts": "chunks"})
    assert found.status_code == 200, found.text
    assert [word["state"] for word in found.json()["targets"][0]["words"]].count("changed") == 4


def test_a_retry_that_says_a_default_is_the_same_request(client):
    """So that a field which a later version adds makes no retry another request."""
    headers, plain = {"Idempotency-Key": "mine"}, edit("a cat at night")
    once = client.post("/v1/edits", json=plain, headers=headers)
    again = client.post("/v1/edits", json={**plain, "long_prompts": "refuse", "loras": []}, headers=headers)

    assert (once.status_code, again.status_code) == (202, 202), again.text
    assert again.json()["id"] == once.json()["id"]
