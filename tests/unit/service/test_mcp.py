"""`/mcp`: agents use edits as tools, with the official client; what stands before every route stands before it too."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from jobs.follow.followers import Followers
from jobs.testing import InMemoryFeed
from service.api_keys import Caller
from service.app import create_app
from service.edits.stream_bound import StreamBound
from service.http.errors import Unauthenticated
from service.mcp.asking import Asking
from service.mcp.door import MOST_BYTES, PATH
from service.mcp.following import reached
from service.settings import Settings
from tests.agent import MODES, agent
from tests.patience import PATIENCE
from tests.serving import serving
from tests.unit.service.raw_requests import request

CAT, DOG = "a cat on the beach", "a dog on the beach"
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
MINE = HEADERS | {"Authorization": "Bearer me"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


class Keys:
    """`Callers` of some names, which say what each may do."""

    def __init__(self, **scopes: str | None):
        self.scopes = scopes

    async def of(self, authorization: str) -> Caller:
        name = authorization.removeprefix("Bearer ")
        if name not in self.scopes:
            raise Unauthenticated(sent=bool(authorization))
        scopes = self.scopes[name]
        return Caller(owner=name, scopes=None if scopes is None else frozenset(scopes.split()))


@pytest.fixture
def served(parts):
    """The API with `/mcp`, over the in-memory twins, on a real port; gives its URL."""
    followers = Followers(InMemoryFeed(parts.store))
    parts.bound = StreamBound(1)

    @asynccontextmanager
    async def connect(_):
        async with followers:
            callers = Keys(me=None, you=None, reader="edits:read", writer="edits:write")
            yield replace(parts.plane, followers=followers, callers=callers, stream_bound=parts.bound)

    with serving(create_app(Settings(mcp=True), connect)) as port:
        yield f"http://127.0.0.1:{port}"


def use(url: str, tool: str, *, token: str = "me", mode: str = "auto", **arguments):
    """What a tool answers."""

    async def work(client):
        return await client.call_tool(tool, arguments)

    return agent(url, work, token=token, mode=mode)


def code(answer) -> str | None:
    return answer.structured_content["code"] if answer.is_error else None


@pytest.mark.parametrize("mode", MODES)
def test_an_agent_finds_the_tools(served, mode):
    async def work(client):
        return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in agent(served, work, token="me", mode=mode)}

    assert set(tools) == {"align_prompts", "edit_image", "get_edit", "cancel_edit"}
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools.values())
    assert [name for name, tool in tools.items() if tool.annotations.read_only_hint] == ["align_prompts", "get_edit"]


@pytest.mark.parametrize("mode", MODES)
def test_an_edit_is_asked_for_looked_at_and_canceled(served, mode, parts):
    asked = use(served, "edit_image", mode=mode, source_prompt=CAT, prompts=[DOG], wait_seconds=0, seed=7)
    edit = asked.structured_content

    assert (edit["status"], edit["seed"]) == ("queued", 7)
    assert use(served, "get_edit", mode=mode, edit_id=edit["id"]).structured_content["status"] == "queued"
    assert use(served, "cancel_edit", mode=mode, edit_id=edit["id"]).structured_content["status"] == "canceled"
    assert parts.store.get(edit["id"]).spec.targets[0].prompt == DOG


def test_prompts_are_set_against_each_other(served):
    answer = use(served, "align_prompts", source_prompt=CAT, prompts=[DOG])

    words = answer.structured_content["targets"][0]["words"]
    assert [word["word"] for word in words if word["state"] == "changed"] == ["dog"]


def test_the_same_key_is_the_same_edit(served):
    asked = {"source_prompt": CAT, "prompts": [DOG], "wait_seconds": 0, "idempotency_key": "once"}
    first, second = (use(served, "edit_image", **asked).structured_content["id"] for _ in range(2))

    assert first == second


def test_what_an_edit_takes_is_given_in_options(served, parts):
    options = {"sampling": {"steps": 5}, "subject": "user-1"}
    answer = use(served, "edit_image", source_prompt=CAT, prompts=[DOG], wait_seconds=0, seed=3, options=options)

    job = parts.store.get(answer.structured_content["id"])
    assert (job.spec.sampling.steps, job.spec.sampling.seed, job.of_subject) == (5, 3, "user-1")


def test_options_add_to_what_the_tools_own_fields_say(served, parts):
    """Nothing of either is lost: not the seed where `sampling` is null, nor the prompts where targets have settings."""
    targets = [{"edits": [{"kind": "replace"}], "cross_window": {"stop": 0.5}}]
    options = {"sampling": None, "targets": targets, "source": {"prompt": CAT}}
    answer = use(served, "edit_image", source_prompt=CAT, prompts=[DOG], wait_seconds=0, seed=3, options=options)

    spec = parts.store.get(answer.structured_content["id"]).spec
    assert (spec.sampling.seed, spec.source.prompt, spec.targets[0].prompt) == (3, CAT, DOG)
    assert spec.targets[0].cross_window.stop == 0.5


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"source": {"prompt": DOG}}, "/options/source/prompt"),
        ({"targets": [{"prompt": CAT}]}, "/options/targets/0/prompt"),
        ({"targets": []}, "/options/targets"),
        ({"targets": {}}, "/options/targets"),
        ({"sampling": {"seed": 4}}, "/options/sampling/seed"),
        ({"sampling": 7}, "/options/sampling"),
        ({"model": "other"}, "/options/model"),
    ],
)
def test_options_that_say_otherwise_are_refused(served, parts, options, pointer):
    answer = use(served, "edit_image", source_prompt=CAT, prompts=[DOG], model="tiny", seed=3, options=options)

    (error,) = answer.structured_content["errors"]
    assert (error["pointer"], error["code"]) == (pointer, "options_conflict")
    assert parts.store.all() == []


LONG = "a cat " * 60


@pytest.mark.parametrize(
    ("tool", "more", "pointers"),
    [
        ("edit_image", {"source_prompt": LONG, "prompts": [DOG, LONG + "at night"]}, {"/source_prompt", "/prompts/1"}),
        ("edit_image", {"prompts": [DOG] * 8}, {"/prompts"}),
        ("edit_image", {"image": "img_" + "0" * 32}, {"/image"}),
        ("edit_image", {"image": "photo.png"}, {"/image"}),
        ("edit_image", {"seed": -5}, {"/seed"}),
        ("edit_image", {"model": "none"}, {"/model"}),
        ("edit_image", {"options": {"model": "none"}}, {"/options/model"}),
        ("edit_image", {"options": {"sampling": {"steps": 0}, "foo": 1}}, {"/options/sampling/steps", "/options/foo"}),
        (
            "align_prompts",
            {"source_prompt": LONG, "prompts": [DOG, LONG + "at night"]},
            {"/source_prompt", "/prompts/1"},
        ),
        ("align_prompts", {"model": "none"}, {"/model"}),
    ],
)
def test_a_complaint_points_at_the_tools_own_field_and_the_text_says_each(served, tool, more, pointers):
    answer = use(served, tool, **{"source_prompt": CAT, "prompts": [DOG], **more})

    assert {each["pointer"] for each in answer.structured_content["errors"]} == pointers
    assert all(pointer in answer.content[0].text for pointer in pointers)


ASKED = {"source_prompt": CAT, "prompts": [DOG]}
REFUSED = [
    ("edit_image", {"source_prompt": CAT}, "invalid_request"),
    ("edit_image", {"source_prompt": CAT, "prompts": [CAT]}, "invalid_request"),
    ("edit_image", ASKED | {"options": {"sampling": 7}}, "invalid_request"),
    ("edit_image", ASKED | {"model": "none"}, "invalid_edit"),
    ("edit_image", ASKED | {"image": "img_" + "0" * 32}, "invalid_edit"),
    ("edit_image", ASKED | {"wait_seconds": 61}, "invalid_request"),
    ("align_prompts", {"source_prompt": CAT, "prompts": []}, "invalid_request"),
    ("get_edit", {"edit_id": "none"}, "job_not_found"),
    ("get_edit", {"edit_id": "../x"}, "invalid_request"),
    ("cancel_edit", {"edit_id": "none"}, "job_not_found"),
]


def test_what_cannot_be_done_is_said_to_the_agent(served):
    async def work(client):
        return [await client.call_tool(tool, arguments) for tool, arguments, _ in REFUSED]

    answers = agent(served, work, token="me")

    assert [code(answer) for answer in answers] == [refused for *_, refused in REFUSED]
    assert all(code(answer) in answer.content[0].text for answer in answers)


def test_a_tool_that_is_not_there_is_an_error_of_the_protocol(served):
    async def work(client):
        with pytest.raises(MCPError, match="there is no tool 'paint': choose of align_prompts"):
            await client.call_tool("paint", {})

    agent(served, work, token="me")


def test_another_keys_edit_is_not_there(served):
    edit = use(served, "edit_image", source_prompt=CAT, prompts=[DOG], wait_seconds=0).structured_content["id"]

    for tool in ("get_edit", "cancel_edit"):
        assert code(use(served, tool, token="you", edit_id=edit)) == "job_not_found"


def test_a_tool_needs_its_own_scope(served):
    def refused(token: str) -> list[str | None]:
        aligned = use(served, "align_prompts", token=token, **ASKED)
        return [code(aligned), code(use(served, "edit_image", token=token, wait_seconds=0, **ASKED))]

    assert refused("reader") == [None, "insufficient_scope"]
    assert refused("writer") == ["insufficient_scope", None]


def test_one_wait_too_many_is_refused_and_an_edit_is_accepted_all_the_same(served, parts):
    with parts.bound.held(Caller(owner="me")):
        edit = use(served, "edit_image", source_prompt=CAT, prompts=[DOG], wait_seconds=60).structured_content
        refused = use(served, "get_edit", edit_id=edit["id"], wait_seconds=60)

    assert (edit["status"], code(refused)) == ("queued", "too_many_streams")


def test_a_wait_ends_in_time_and_its_place_is_free(served, parts):
    edit = use(served, "edit_image", source_prompt=CAT, prompts=[DOG], wait_seconds=1).structured_content

    assert (edit["status"], parts.bound.count()) == ("queued", 0)


@pytest.mark.parametrize(("last", "said"), [(0, ["step 6 of 6"]), (5, ["step 6 of 6"]), (6, [])])
def test_the_last_step_is_told_of_though_it_came_before_anybody_listened(parts, last, said):
    """A short edit may end before its worker knows that it is followed, and its events then name no step."""
    told = []

    async def progress(step, of, message):
        told.append(message)

    asking = Asking(plane=parts.plane, caller=Caller(owner="me"), progress=progress)
    asyncio.run(reached({"progress": {"step": 6, "steps": 6}}, last, asking))

    assert told == said


def sent(url: str, method: str = "POST", **how):
    return httpx2.request(method, f"{url}{PATH}", **{"headers": MINE, "timeout": PATIENCE, **how})


def test_without_a_key_nothing_of_a_body_is_read(parts, serve):
    parts.plane = replace(parts.plane, callers=Keys())
    said = [(b"host", b"api.test"), (b"content-type", b"application/json"), (b"content-length", b"1000")]

    answer = request(serve(mcp=True), "POST", PATH, said)

    assert (answer.status, answer.problem["code"], answer.asked) == (401, "unauthenticated", 0)


def test_what_stands_before_every_route_stands_before_it(served):
    for how, status, refused in (
        ({"json": LIST, "headers": MINE | {"Host": "evil.example"}}, 421, "host_not_allowed"),
        ({"json": LIST, "headers": MINE | {"Origin": "https://evil.example"}}, 403, "origin_not_allowed"),
        ({"content": b" " * (MOST_BYTES + 1)}, 413, "body_too_large"),
        ({"content": b"[" * 200 + b"]" * 200}, 400, "json_limit"),
        ({"content": b"{"}, 400, "not_json"),
        ({"content": b""}, 400, "empty_body"),
    ):
        answer = sent(served, **how)

        assert (answer.status_code, answer.json()["code"]) == (status, refused)


def test_it_opens_no_stream_and_keeps_no_session(served):
    for method in ("GET", "DELETE", "PUT"):
        answer = sent(served, method)

        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST"


def test_it_is_not_there_unless_it_is_set(client):
    assert client.post(PATH, json=LIST).json()["code"] == "not_found"
