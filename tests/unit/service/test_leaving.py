"""A client that goes has nothing begun for it that had only waited."""

import asyncio
import json

from jobs.model import ANYBODY
from process.leaving import ClientLeft, client_leaves
from process.turns import Turns
from service.alignments import routes
from tests.unit.service.test_turns import run, settled


def test_what_waits_is_taken_out_once_its_client_has_gone():
    async def test() -> None:
        turns, goes = Turns(1), asyncio.Event()
        await turns.enter("a")

        async def of_one_who_goes() -> None:
            client_leaves(goes.wait)
            await turns.enter("b")

        gone = asyncio.create_task(of_one_who_goes())
        stays = asyncio.create_task(turns.enter("b"))
        await settled()
        assert turns.count("b") == (0, 2)
        goes.set()
        await settled()

        assert isinstance(gone.exception(), ClientLeft)
        assert turns.count("b") == (0, 1)
        turns.leave("a")
        await stays
        assert turns.count("b") == (1, 0)

    run(test)


def test_a_client_that_goes_as_its_turn_comes_leaves_its_place_to_the_next():
    async def test() -> None:
        turns, goes = Turns(1), asyncio.Event()
        await turns.enter("a")

        async def of_one_who_goes() -> None:
            client_leaves(goes.wait)
            async with turns.turn("b"):
                pass

        asked = asyncio.create_task(of_one_who_goes())
        await settled()
        turns.leave("a")  # its turn is there
        goes.set()
        await settled()

        assert asked.done()
        assert [turns.count(ANYBODY) for owner in "ab"] == [(0, 0)] * 2

    run(test)


def test_an_alignment_that_waits_is_not_computed_for_a_client_that_has_gone(client, monkeypatch):
    """Twenty are sent and their connections closed while the same key's first one is computed."""
    computed = []
    monkeypatch.setattr(routes, "answer_to", lambda *_: computed.append(1) or b"{}")
    body = json.dumps({"model": "tiny", "source": {"prompt": "a cat"}, "targets": [{"prompt": "a dog"}]}).encode()
    sent = []

    async def ask(goes: asyncio.Event) -> None:
        came = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> dict:
            if (message := next(came, None)) is None:
                await goes.wait()
                return {"type": "http.disconnect"}
            return message

        async def send(message: dict) -> None:
            sent.append(message)

        headers = [(b"host", b"api.test"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/alignments", "raw_path": b"/v1/alignments"}
        scope |= {"query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "server": ("api.test", 80)}
        scope |= {"scheme": "http", "root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"}, "state": {}}
        await client.app(scope, receive, send)

    async def test() -> None:
        turns, goes, stays = client.app.state.plane.computing._turns, asyncio.Event(), asyncio.Event()
        await turns.enter(ANYBODY)
        asked = [asyncio.create_task(ask(goes)) for _ in range(20)]
        kept = asyncio.create_task(ask(stays))
        while turns.count(ANYBODY)[1] < 21:
            await asyncio.sleep(0)
        goes.set()
        await asyncio.gather(*asked)
        assert turns.count(ANYBODY) == (1, 1)
        turns.leave(ANYBODY)
        await kept

        assert len(computed) == 1

    client.portal.call(test)
