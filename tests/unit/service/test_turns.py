"""Owners take turns at what few may do at a time; none has all the places, and none may queue for ever."""

import asyncio
import socket
import threading
from collections.abc import Callable

import httpx
import pytest

from layers.computing import SMALL, Computing
from process.addresses import GuardedTransport, NoPublicAddress
from process.lookups import Lookups
from process.turns import TooManyAtOnce, Turns
from tests.patience import PATIENCE
from webhooks import receivers
from webhooks.receivers import Receivers


class Work:
    """Work that lasts until it is told to end, in the order in which it was begun."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.begun, self.ends, self.tasks = turns, [], {}, []

    async def ask(self, *names: str) -> None:
        """Ask for turns, of the owner that each name begins with."""
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks.append(asyncio.create_task(self._do(name)))
            await settled()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settled()

    async def _do(self, name: str) -> None:
        async with self.turns.turn(name[0]):
            self.begun.append(name)
            await self.ends[name].wait()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Callable) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await test()

    asyncio.run(bounded())


def test_the_second_owner_does_not_wait_for_the_first_ones_work():
    async def test() -> None:
        work = Work(Turns(2))
        await work.ask("a1", "a2", "a3", "a4", "b1")

        assert work.begun == ["a1", "b1"]

    run(test)


def test_owners_take_turns_however_many_requests_each_has():
    async def test() -> None:
        work = Work(Turns(1))
        await work.ask("a1", "a2", "a3", "a4", "b1", "b2", "c1")
        for name in ("a1", "a2", "b1", "c1", "a3", "b2"):
            await work.end(name)

        assert work.begun == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]

    run(test)


def test_an_owner_that_asks_for_too_much_at_once_is_refused_and_the_others_are_not():
    async def test() -> None:
        work = Work(Turns(1, waiting=2))
        await work.ask("a1", "a2", "a3", "a4", "b1")
        (refused,) = [task for task in work.tasks if task.done()]

        assert isinstance(refused.exception(), TooManyAtOnce)
        assert work.turns.count("a") == (1, 2)
        assert work.turns.count("b") == (0, 1)

    run(test)


@pytest.mark.parametrize("gone", ["a1", "a2", "b1"])
def test_who_goes_away_gives_its_place_to_the_next(gone):
    async def test() -> None:
        work = Work(Turns(1))
        names = ["a1", "a2", "b1", "c1"]
        await work.ask(*names)
        work.tasks[names.index(gone)].cancel()
        await settled()
        left = [name for name in names if name != gone]
        for name in left:
            await work.end(name)

        assert [name for name in work.begun if name != gone] == left
        assert [work.turns.count(owner) for owner in "abc"] == [(0, 0)] * 3

    run(test)


def test_a_turn_that_comes_as_its_client_goes_is_not_lost():
    async def test() -> None:
        turns = Turns(1)
        await turns.enter("a")
        waiting = asyncio.create_task(turns.enter("b"))
        await settled()
        turns.leave("a")  # b's place is there
        waiting.cancel()  # before b has run again
        await settled()
        await turns.enter("c")

        assert [turns.count(owner) for owner in "abc"] == [(0, 0), (0, 0), (1, 0)]

    run(test)


def test_what_is_small_is_done_at_once_and_what_is_large_in_another_thread():
    async def test() -> None:
        computing = Computing()

        assert await computing.run("a", SMALL, threading.get_ident) == threading.get_ident()
        assert await computing.run("a", SMALL + 1, threading.get_ident) != threading.get_ident()

    run(test)


def test_a_large_request_of_one_owner_is_done_before_the_flood_of_another():
    async def test() -> None:
        computing, may_end, done = Computing(), threading.Event(), []

        async def large(owner: str, work: Callable) -> None:
            await computing.run(owner, SMALL + 1, work)
            done.append(owner)

        async with asyncio.TaskGroup() as both:
            for _ in range(10):
                both.create_task(large("flood", may_end.wait))
            await settled()
            await large("other", int)
            assert done == ["other"]
            may_end.set()

    run(test)


class Names:
    """A resolver whose names under `stalls.test` are not answered until it is told to."""

    def __init__(self) -> None:
        self.answers, self.asked = asyncio.Event(), []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host.endswith(".stalls.test"):
            await self.answers.wait()
        return ["93.184.216.34"]


def test_names_that_stall_keep_nobody_elses_names_waiting():
    """Sixty-four names of one zone, and one of another owner."""

    async def test() -> None:
        names = Names()
        lookups = Lookups(names.resolve, seconds=PATIENCE)
        flood = [asyncio.create_task(lookups.addresses(f"{n}.stalls.test", 443, "flood")) for n in range(64)]
        await settled()

        assert await lookups.addresses("hooks.test", 443, "other") == ["93.184.216.34"]
        assert not any(task.done() for task in flood)
        assert len(names.asked) == 17
        names.answers.set()
        await asyncio.gather(*flood)

    run(test)


def test_a_lookup_that_was_given_up_counts_until_it_is_over():
    async def test() -> None:
        names = Names()
        lookups = Lookups(names.resolve, at_once=2, of_owner=1, seconds=0.001)
        for name in ("one", "two"):
            with pytest.raises(TimeoutError):
                await lookups.addresses(f"{name}.stalls.test", 443, "flood")

        assert names.asked == ["one.stalls.test"]
        names.answers.set()
        await settled()
        lookups._seconds = PATIENCE
        assert await lookups.addresses("hooks.test", 443, "flood")

    run(test)


def test_a_name_that_is_not_looked_up_in_time_is_a_call_that_timed_out():
    async def test() -> None:
        transport = GuardedTransport(resolve=Names().resolve)
        transport._lookups._seconds = 0.001
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("http://one.stalls.test/")

    run(test)


def test_the_systems_resolver_is_asked_in_a_thread_of_its_own():
    async def test() -> None:
        assert "127.0.0.1" in await Lookups().addresses("localhost", 80, "a")
        with pytest.raises(socket.gaierror):
            await Lookups().addresses("name.invalid", 80, "a")
        async with httpx.AsyncClient(transport=GuardedTransport()) as client:
            with pytest.raises(NoPublicAddress):
                await client.get("http://localhost/")

    run(test)


def test_an_owner_with_many_receivers_leaves_room_for_the_others():
    found = Receivers()
    flood = [found.put_off(f"https://{number}.zone.test/", "flood") for number in range(300)]

    assert [wait is None for wait in flood] == [number < receivers.OF_OWNER_IN_HAND for number in range(300)]
    assert found.put_off("https://hooks.test/", "other") is None


def test_a_receiver_of_many_owners_is_spared_as_one_of_one_is():
    found = Receivers()
    waits = [found.put_off("https://hooks.test/", f"owner-{number}") for number in range(receivers.IN_HAND + 1)]

    assert waits == [None] * receivers.IN_HAND + [receivers.SOON]


def test_an_owners_attempts_take_few_of_the_places_and_leave_nothing_behind():
    async def test() -> None:
        found, may_end, begun = Receivers(), asyncio.Event(), []

        async def attempt(owner: str, number: int) -> None:
            url = f"https://{number}.{owner}.test/"
            assert found.put_off(url, owner) is None
            async with found.turn(url, owner):
                begun.append(owner)
                await may_end.wait()

        async with asyncio.TaskGroup() as all_of_them:
            for number in range(receivers.OF_OWNER_IN_HAND):
                all_of_them.create_task(attempt("flood", number))
            await settled()
            all_of_them.create_task(attempt("other", 0))
            await settled()
            assert begun == ["flood"] * receivers.OF_OWNER_AT_A_TIME + ["other"]
            may_end.set()
        assert not found._of

    run(test)
