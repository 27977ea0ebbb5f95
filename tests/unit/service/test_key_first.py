"""Without a good key nothing of a body is read, and nothing is kept of the keys that somebody tries."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from service.api_keys import MOST_KNOWN, MOST_UNKNOWN, ApiKey, Caller, KeyHolders, _digest
from service.app import create_app
from service.http.errors import Unauthenticated
from service.settings import Settings
from tests.unit.service.raw_requests import request

SECRET = "s" * 43


class Locked:
    """`Callers` who let nobody in."""

    async def of(self, authorization: str):
        raise Unauthenticated


def with_bodies() -> list[tuple[str, str]]:
    """Every method and address of the API's description that takes a body."""
    paths = create_app(Settings()).openapi()["paths"]
    return [(verb.upper(), path) for path, verbs in paths.items() for verb in verbs if "requestBody" in verbs[verb]]


def answered(client, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict, int]:
    """Status and body of an answer, and how often the body of the request was asked for; its client stalls."""
    said = [(name.lower().encode(), value.encode()) for name, value in {"Host": "api.test", **headers}.items()]
    answer = request(client, method, path, said)
    return answer.status, answer.problem, answer.asked


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
@pytest.mark.parametrize(("method", "path"), with_bodies())
def test_the_key_is_looked_at_before_a_byte_of_the_body(parts, serve, method, path, content_type):
    parts.plane = replace(parts.plane, callers=Locked())
    headers = {"Content-Type": content_type, "Content-Length": "20000000", "Content-Encoding": "identity"}

    status, problem, asked = answered(serve(), method, path.replace("{edit_id}", "mine"), headers)

    # The addresses of OpenAI's clients have errors in their shape.
    assert (status, problem.get("error", problem)["code"], asked) == (401, "unauthenticated", 0)


def test_a_key_is_looked_at_once_for_each_request(parts, serve, edit):
    class Counting:
        seen = 0

        async def of(self, authorization: str) -> Caller:
            self.seen += 1
            return Caller()

    counting = Counting()
    parts.plane = replace(parts.plane, callers=counting)
    client = serve()

    for content_type in ("application/json", "application/json; charset=utf-8"):
        before = counting.seen
        answer = client.post("/v1/edits", content=json.dumps(edit), headers={"Content-Type": content_type})
        assert (answer.status_code, counting.seen - before) == (202, 1)


@pytest.fixture
def keys() -> SimpleNamespace:
    """Keys over a Redis that counts what it is asked."""
    kept: dict[str, str] = {}

    class Redis:
        asked = 0

        async def hget(self, _, key_id: str) -> str | None:
            self.asked += 1
            return kept.get(key_id)

        async def exists(self, _) -> bool:
            return True

    client, clock = Redis(), SimpleNamespace(now=0.0)
    holders = KeyHolders(client, clock=lambda: clock.now)

    def known(number: int) -> str:
        key = ApiKey(id=f"{number:012x}", name="one", digest=_digest(SECRET), created_at="2026-01-01T00:00:00Z")
        kept[key.id] = key.model_dump_json()
        return f"Bearer p2p_{key.id}_{SECRET}"

    def owner(header: str) -> str | None:
        try:
            return asyncio.run(holders.of(header)).owner
        except Unauthenticated:
            return None

    return SimpleNamespace(holders=holders, redis=client, clock=clock, known=known, owner=owner)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "p2p__",
        f"p2p_0123456789ab_{SECRET}x",
        f"p2p_0123456789ab_{SECRET[1:]}",
        f"p2p_0123456789AB_{SECRET}",
        f"p2p_0123456789a_{SECRET}",
        f"p2p_0123456789abc_{SECRET}",
        f"p2p_{'0' * 50_000}_{SECRET}",
        f"p2p_0123456789ab_{SECRET[1:]}\xe9",
        f"p2p_0123456789ab_{SECRET[1:]}\n",
        f"p2p_\u0660123456789ab_{SECRET}",
        f"P2P_0123456789ab_{SECRET}",
        f"p2p_0123456789ab_{SECRET} p2p_0123456789ab_{SECRET}",
        f"x p2p_0123456789ab_{SECRET}",
    ],
)
def test_what_has_not_the_form_of_a_key_is_refused_without_redis(keys, token):
    keys.known(0x0123456789AB)

    assert keys.owner(f"Bearer {token}") is None
    assert keys.redis.asked == 0
    assert len(keys.holders._known) + len(keys.holders._unknown) == 0


def test_ids_that_somebody_tries_are_remembered_to_a_bound_and_push_out_no_key(keys):
    header = keys.known(1)
    assert keys.owner(header) == f"{1:012x}"

    for number in range(100, 100 + 3 * MOST_UNKNOWN):
        assert keys.owner(f"Bearer p2p_{number:012x}_{SECRET}") is None

    asked = keys.redis.asked
    assert keys.owner(header) == f"{1:012x}"
    assert keys.owner(f"Bearer p2p_{100 + 3 * MOST_UNKNOWN - 1:012x}_{SECRET}") is None
    assert keys.redis.asked == asked
    assert len(keys.holders._unknown) == MOST_UNKNOWN


def test_as_many_keys_are_remembered_as_the_bound_says(keys):
    for number in range(MOST_KNOWN + 10):
        assert keys.owner(keys.known(number)) == f"{number:012x}"

    assert len(keys.holders._known) == MOST_KNOWN


def test_a_key_and_an_unknown_id_are_asked_for_again_after_a_while(keys):
    header = f"Bearer p2p_{7:012x}_{SECRET}"
    assert keys.owner(header) is None
    keys.known(7)
    assert keys.owner(header) is None

    keys.clock.now += 6

    assert keys.owner(header) == f"{7:012x}"
