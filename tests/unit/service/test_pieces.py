"""A large answer is sent a piece at a time, and others have their turn between two."""

import asyncio

import pytest

from layers.pieces import PIECE, Pieces


def sent(*bodies: bytes) -> tuple[list[dict], int]:
    """What a server is given of an answer in some parts, and how often others had a turn meanwhile."""
    messages, turns = [], 0

    async def send(message):
        messages.append(message)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number, body in enumerate(bodies, 1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})

    async def other():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def run():
        beside = asyncio.create_task(other())
        await Pieces(app)({"type": "http"}, None, send)
        beside.cancel()

    asyncio.run(run())
    return messages[1:], turns


@pytest.mark.parametrize("length", [0, 1, PIECE, PIECE + 1, PIECE * 10, PIECE * 20 + 5])
def test_an_answer_is_the_same_in_its_pieces(length):
    body = bytes(range(256)) * (length // 256) + b"x" * (length % 256)

    messages, turns = sent(body)

    assert b"".join(message["body"] for message in messages) == body
    assert all(len(message["body"]) <= PIECE for message in messages)
    assert [message["more_body"] for message in messages] == [True] * (len(messages) - 1) + [False]
    assert turns >= len(messages) - 1


def test_parts_that_are_large_are_cut_each():
    messages, _ = sent(b"a", b"b" * (PIECE + 7), b"c" * PIECE, b"")

    assert [len(message["body"]) for message in messages] == [1, PIECE, 7, PIECE, 0]
    assert [message["more_body"] for message in messages] == [True, True, True, True, False]
