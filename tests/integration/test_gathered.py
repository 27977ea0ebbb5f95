"""Commands of one turn of the event loop: one message to Redis, and to each its own answer."""

import asyncio

import pytest
import redis
import redis.asyncio

from jobs.redis.gathered import MOST, Gathered
from service.connections import redis_client as api_client
from stack.redis_server import redis_server
from tests.patience import PATIENCE


class Counting(redis.asyncio.Redis):
    """A client that counts the messages it sends."""

    messages = 0

    def pipeline(self, *args, **how):
        Counting.messages += 1
        return super().pipeline(*args, **how)


@pytest.fixture
def asked(redis_url):
    """Runs commands at the same time; gives what became of each, and how many messages were sent."""

    def asked(*commands):
        async def go():
            Counting.messages = 0
            async with Counting.from_url(redis_url, decode_responses=True) as client:
                gathered = Gathered(client)
                answers = await asyncio.gather(
                    *(gathered.execute(*command) for command in commands), return_exceptions=True
                )
                return answers, Counting.messages

        return asyncio.run(go())

    return asked


def test_commands_of_one_turn_go_in_one_message(asked):
    answers, messages = asked(*(["ECHO", f"text {number}"] for number in range(MOST)))
    assert answers == [f"text {number}" for number in range(MOST)]
    assert messages == 1


def test_a_message_has_a_bounded_number_of_commands(asked):
    answers, messages = asked(*(["ECHO", str(number)] for number in range(2 * MOST + 1)))
    assert answers == [str(number) for number in range(2 * MOST + 1)]
    assert messages == 3


def test_an_answer_has_the_form_that_its_command_has_alone(asked, redis_client):
    redis_client.delete("a hash")
    redis_client.hset("a hash", mapping={"name": "value"})
    (found, none), _ = asked(["HGETALL", "a hash"], ["HGETALL", "no hash"])
    assert found == {"name": "value"}
    assert not none


def test_an_error_is_its_own_command_s(asked, redis_client):
    redis_client.set("a text", "x")
    (before, wrong, unknown, after), _ = asked(
        ["ECHO", "before"], ["HGETALL", "a text"], ["EVALSHA", "0" * 40, 0], ["ECHO", "after"]
    )
    assert (before, after) == ("before", "after")
    assert isinstance(wrong, redis.ResponseError)
    assert "WRONGTYPE" in str(wrong)
    assert isinstance(unknown, redis.exceptions.NoScriptError)


@pytest.mark.parametrize("wrong", [["ECHO", "\ud800"], ["ECHO", object()]], ids=["half a character", "no value"])
def test_what_cannot_be_sent_fails_alone(asked, wrong):
    (before, error, after), _ = asked(["ECHO", "before"], wrong, ["ECHO", "after"])
    assert (before, after) == ("before", "after")
    assert isinstance(error, UnicodeEncodeError | redis.DataError)


def test_who_leaves_takes_nobody_s_answer_away(redis_url):
    async def go():
        async with api_client(redis_url, decode_responses=True) as client:
            gathered = Gathered(client)
            leaving, staying = (asyncio.create_task(gathered.execute("ECHO", name)) for name in ("one", "two"))
            await asyncio.sleep(0)
            leaving.cancel()
            assert await asyncio.wait_for(staying, PATIENCE) == "two"
            with pytest.raises(asyncio.CancelledError):
                await leaving

    asyncio.run(go())


def test_a_redis_that_has_gone_is_said_to_all_of_a_message(tmp_path, monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)
    with redis_server(tmp_path) as url:
        pass

    async def go():
        async with api_client(url, decode_responses=True) as client:
            gathered = Gathered(client)
            return await asyncio.gather(*(gathered.execute("PING") for _ in range(3)), return_exceptions=True)

    answers = asyncio.run(go())
    assert len(answers) == 3
    assert all(isinstance(answer, redis.ConnectionError) for answer in answers)


def test_commands_are_answered_again_once_redis_is_back(redis_url, redis_client):
    async def go():
        async with api_client(redis_url, decode_responses=True) as client:
            gathered = Gathered(client)
            assert await gathered.execute("ECHO", "before") == "before"
            await asyncio.to_thread(redis_client.client_kill_filter, _type="normal", skipme=True)
            lost = await asyncio.gather(gathered.execute("ECHO", "while"), return_exceptions=True)
            assert lost == ["while"] or isinstance(lost[0], redis.ConnectionError)
            assert await gathered.execute("ECHO", "after") == "after"

    asyncio.run(go())
