"""The Python client, blocking and awaiting, against the real service."""

import asyncio
import re
from contextlib import aclosing
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from p2p.spec import EditSpec
from p2p_client import AsyncClient, Client, JobFailed, NotFound, Refused

SPEC = EditSpec.model_validate(
    {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
        "sampling": {"steps": 3, "seed": 5},
    }
)


@pytest.fixture
def client(served):
    with Client(served.url) as client:
        yield client


def test_an_edit_is_submitted_followed_awaited_and_fetched(client, tmp_path):
    edit = client.submit(SPEC)
    events = list(client.events(edit))
    done = client.wait(edit)
    paths = client.download(done, tmp_path, kinds={"image"})

    assert [events[0].name, events[-1].name] == ["queued", "succeeded"]
    assert EditSpec.model_validate(done.spec).targets == SPEC.targets
    assert [path.name for path in paths] == ["source.png", "edit-1.png"]
    source, edited = (np.asarray(Image.open(path)) for path in paths)
    assert not np.array_equal(source, edited)


def test_the_same_with_await(served, tmp_path):
    async def edited():
        async with AsyncClient(served.url) as client:
            edit = await client.submit(SPEC)
            async with aclosing(client.events(edit)) as events:
                names = [event.name async for event in events]
            done = await client.wait(edit)
            return names, await client.download(done, tmp_path)

    names, paths = asyncio.run(edited())

    assert [names[0], names[-1]] == ["queued", "succeeded"]
    assert {"source.png", "edit-1.png", "manifest.json"} <= {path.name for path in paths}
    assert all(path.is_file() for path in paths)


def test_an_edit_under_ones_own_id_is_there_once_and_can_be_erased(client):
    first, second = client.submit(SPEC, id="order-17"), client.submit(SPEC, id="order-17")
    assert first.id == second.id

    client.wait("order-17")
    assert first.id in {edit.id for edit in client.list(status="succeeded", page_size=1)}
    client.erase("order-17")

    with pytest.raises(NotFound):
        client.get("order-17")


def test_a_canceled_edit_is_no_success(client):
    edit = client.submit(SPEC.model_copy(update={"model": "tiny-third"}))

    assert client.cancel(edit).status == "canceled"
    with pytest.raises(JobFailed) as raised:
        client.wait(edit)
    assert raised.value.code == "canceled"


def test_a_refusal_points_at_what_is_wrong(client):
    with pytest.raises(Refused) as raised:
        client.submit({**SPEC.model_dump(mode="json"), "model": "nobody's"})

    assert raised.value.status == 422
    assert [each.pointer for each in raised.value.errors] == ["/model"]


def test_a_photo_is_sent_inverted_and_edited(client):
    image = client.upload("stack/photo.png")
    source = {"prompt": "a cat in the snow", "image": {"upload": image.id}}

    inverted = client.wait(client.invert(source, model="tiny", sampling={"steps": 2}))

    assert inverted.reconstruction.inversion == "made"
    assert image.id in {inversion.image for inversion in client.inversions()}


def test_a_batch_is_awaited_as_one(client):
    batch = client.wait_batch(client.submit_batch([SPEC, SPEC]))

    assert (batch.status, batch.counts["succeeded"]) == ("ended", 2)


def test_models_and_alignments_are_told(client):
    assert {model.id for model in client.models()} == {"tiny", "tiny-too", "tiny-third"}
    aligned = client.align("a cat", "a dog", ("a big cat", "refine"), model="tiny")
    assert [target.kind for target in aligned.targets] == ["replace", "refine"]
    assert [word.state for word in aligned.targets[1].words] == ["kept", "added", "kept"]


def test_a_service_that_is_away_comes_back_to_one_edit(served):
    """The answer is lost after the service has taken the edit: sent again under its key, it is the same one."""
    kept = []

    def lost_once(response: httpx.Response) -> None:
        if response.request.method == "POST":
            kept.append(response.headers["Location"])
            if len(kept) == 1:
                raise httpx.ReadError("the answer was lost", request=response.request)

    with httpx.Client(event_hooks={"response": [lost_once]}) as http, Client(served.url, http=http) as client:
        edit = client.submit(SPEC)

    assert len(kept) == 2
    assert set(kept) == {f"/v1/edits/{edit.id}"}


def test_the_program_that_is_shown_fetches_an_edit(served, tmp_path, monkeypatch, capsys):
    text = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from p2p_client import.*?)```", text, re.DOTALL)
    # Where the reader's service is, and the model that this one has.
    code = code.replace("http://127.0.0.1:8000", served.url).replace('"source":', '"model": "tiny", "source":', 1)
    monkeypatch.chdir(tmp_path)

    exec(compile(code, "docs/clients.md", "exec"), {})

    assert (tmp_path / "pictures" / "edit-1.png").is_file()
    assert "succeeded" in capsys.readouterr().out
