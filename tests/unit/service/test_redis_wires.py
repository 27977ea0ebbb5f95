"""Which answers of a Redis are those of a server that takes no writes."""

import pytest
from redis.exceptions import MasterDownError, NoScriptError, ReadOnlyError, ResponseError

from jobs.redis.wires import Dropping, NoPrimary


class Answering:
    """A connection that answers by one error."""

    def __init__(self, error: Exception) -> None:
        self.error, self.is_open = error, True

    def read_response(self, *arguments: object, **named: object) -> None:
        raise self.error

    def disconnect(self) -> None:
        self.is_open = False


class Wire(Dropping, Answering):
    """As the real ones are made."""


@pytest.mark.parametrize(
    "error",
    [
        ReadOnlyError("You can't write against a read only replica."),
        MasterDownError("Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
        ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"),
        # Redis 6.2 has it within a script's error.
        ResponseError(
            "Error running script (call to f_0a): @user_script:12: @user_script: 12: -READONLY You can't write against "
            "a read only replica."
        ),
        ResponseError("Error running script (call to f_0a): @user_script:1: -NOREPLICAS Not enough good replicas"),
    ],
)
def test_a_server_that_takes_no_writes_is_left_and_the_error_is_that_of_a_lost_connection(error):
    wire = Wire(error)

    with pytest.raises(NoPrimary, match="takes no writes now") as met:
        wire.read_response(disable_decoding=True)

    assert not wire.is_open
    assert met.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        NoScriptError("No matching script."),
        ResponseError("ERR wrong number of arguments for 'get' command"),
        ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        ResponseError("unknown command 'READONLYX', with args beginning with: "),
        ConnectionError("reset"),
    ],
)
def test_any_other_error_stays_as_it_is_and_so_does_the_connection(error):
    wire = Wire(error)

    with pytest.raises(type(error)) as met:
        wire.read_response()

    assert met.value is error
    assert wire.is_open
