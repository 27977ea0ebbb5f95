"""What is asked for before a deadline is set: given at once, or waited for from where it stands."""

import asyncio

import pytest

from layers.begun import Begun, begin


async def at_once() -> str:
    return "there"


def test_what_comes_without_a_wait_is_given_at_once():
    assert begin(at_once()) == "there"


def test_what_fails_without_a_wait_fails_at_once():
    async def failing():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        begin(failing())


def test_what_has_to_be_waited_for_comes_when_it_is_there():
    async def waiting() -> str:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(ready.set_result, "came")
        return f"{await at_once()}, {await ready}, {await asyncio.sleep(0, 'twice')}"

    async def run():
        left = begin(waiting())
        assert isinstance(left, Begun)
        return await left

    assert asyncio.run(run()) == "there, came, twice"


def test_a_deadline_cancels_it_where_it_waits():
    seen = []

    async def waiting():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("canceled")
            raise

    async def run():
        left = begin(waiting())
        async with asyncio.timeout(0):
            await left

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert seen == ["canceled"]


def test_what_it_makes_of_a_failure_counts():
    async def waiting() -> str:
        failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(failed.set_exception, ValueError())
        try:
            return await failed
        except ValueError:
            return "mended"

    async def run():
        return await begin(waiting())

    assert asyncio.run(run()) == "mended"
