"""An agent edits a picture over `/mcp`, with the whole service."""

import base64
import re
from pathlib import Path

import httpx

from tests.agent import agent
from tests.patience import ANSWER

ROOT = Path(__file__).parents[2]
ASKED = {
    "source_prompt": "a cat on the beach",
    "prompts": ["a dog on the beach"],
    "model": "tiny",
    "seed": 5,
    "options": {"sampling": {"steps": 6}},
}


def test_an_agent_edits_sees_the_pictures_and_is_told_of_steps(served):
    told = []

    async def work(client):
        async def progress(step, of, message):
            told.append((step, of, message))

        return await client.call_tool("edit_image", ASKED, progress_callback=progress)

    answer = agent(served.url, work)

    edit = answer.structured_content
    assert (edit["status"], [picture["picture"] for picture in edit["pictures"]]) == ("succeeded", [0, 1])
    shown = [base64.b64decode(block.data) for block in answer.content if block.type == "image"]
    assert shown == [httpx.get(picture["url"], timeout=ANSWER).content for picture in edit["pictures"]]
    # Steps that end together are told of as one; the last one always is.
    assert told[-1] == (6, 6, "step 6 of 6")
    assert told == sorted(told)


def test_an_agent_comes_back_for_its_edit_and_gets_links(served):
    async def work(client):
        edit = await client.call_tool("edit_image", {**ASKED, "wait_seconds": 0})
        edit_id = edit.structured_content["id"]
        return await client.call_tool("get_edit", {"edit_id": edit_id, "wait_seconds": 60, "pictures": "links"})

    answer = agent(served.url, work)

    links = [block for block in answer.content if block.type == "resource_link"]
    assert [link.name for link in links] == ["source.png", "edit-1.png"]
    assert all(httpx.get(link.uri, timeout=ANSWER).headers["content-type"] == link.mime_type for link in links)


def test_an_agent_cancels_its_edit(served):
    async def work(client):
        long = {**ASKED, "options": {"sampling": {"steps": 400}}, "wait_seconds": 0}
        edit_id = (await client.call_tool("edit_image", long)).structured_content["id"]
        await client.call_tool("cancel_edit", {"edit_id": edit_id})
        return await client.call_tool("get_edit", {"edit_id": edit_id, "wait_seconds": 60})

    assert agent(served.url, work).structured_content["status"] == "canceled"


def test_the_agent_that_is_shown_edits(served, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "agents.md").read_text(encoding="utf-8"), re.DOTALL)
    # The service under test has no keys.
    code = code.replace("http://127.0.0.1:8000", served.url).replace('{"Authorization": "Bearer p2p_..."}', "{}")

    exec(compile(code, "agents.md", "exec"), {})

    assert capsys.readouterr().out.split() == ["succeeded"]
