"""Commands that share a message to Redis, and notes that go with the next one."""

import pytest
import redis

from jobs.redis.notes import Notes
from jobs.redis.together import call_of, together

TEXT = "return redis.call('INCR', KEYS[1])"


def reads(client: redis.Redis) -> int:
    return client.info("stats")["total_reads_processed"]


def test_a_script_is_sent_with_others_in_one_message(redis_client):
    script = redis_client.register_script(TEXT)
    commands = [("PING",), call_of(script, ["number"], []), call_of(script, ["number"], [])]
    redis_client.script_load(TEXT)
    before = reads(redis_client)

    assert together(redis_client, commands, [script])[1:] == [1, 2]

    assert reads(redis_client) - before == 2  # the second one asks for this number


def test_a_script_that_redis_has_forgotten_is_loaded_and_called_once(redis_client):
    script = redis_client.register_script(TEXT)
    redis_client.script_flush()

    assert together(redis_client, [("INCR", "other"), call_of(script, ["again"], [])], [script]) == [1, 1]

    assert (redis_client.get("other"), redis_client.get("again")) == ("1", "1")


def test_notes_go_before_what_they_are_sent_with_and_once(redis_client):
    notes = Notes()
    notes.add("RPUSH", "list", "noted")

    assert notes.sent_with(redis_client, [("LRANGE", "list", 0, -1)]) == [["noted"]]
    assert notes.sent_with(redis_client, [("LLEN", "list")]) == [1]


def test_a_note_that_is_refused_keeps_nothing_else_from_being_done(redis_client, caplog):
    notes = Notes()
    redis_client.set("text", "text")
    notes.add("RPUSH", "text", "noted")

    assert notes.sent_with(redis_client, [("GET", "text")]) == ["text"]
    assert "was not taken" in caplog.text


def test_notes_outlast_a_redis_that_does_not_answer(redis_client):
    notes = Notes()
    notes.add("SET", "note", "taken")
    with redis.Redis(port=1) as gone, pytest.raises(redis.ConnectionError):
        notes.sent_with(gone, [("PING",)])

    notes.sent_with(redis_client)

    assert redis_client.get("note") == "taken"
