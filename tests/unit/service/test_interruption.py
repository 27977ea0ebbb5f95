"""A signal is never lost, wherever in the program it arrives."""

import os
import signal

import pytest

from process.interruption import Interrupted, interruptible, look, pause


class NoticesItsEnd:
    """Its destructor is where a signal arrives: an exception raised there would be swallowed."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_acted_on_where_the_program_looks(signum):
    with interruptible():
        look()
        os.kill(os.getpid(), signum)
        with pytest.raises(Interrupted) as caught:
            pause(0)

    assert caught.value.status == 128 + signum


def test_a_signal_inside_a_destructor_is_not_lost():
    with interruptible():
        NoticesItsEnd()
        with pytest.raises(Interrupted):
            look()


def test_afterwards_signals_mean_what_they_did():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with interruptible():
        os.kill(os.getpid(), signal.SIGTERM)

    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    look()
