"""W3C Trace Context: what is a `traceparent`, and what goes on from it."""

import pytest

from process.trace import Trace

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"  # the specification's own example


def test_a_traceparent_is_read_and_written_back_as_it_was():
    trace = Trace.parse(GIVEN)

    assert (trace.trace_id, trace.span_id, trace.flags) == (GIVEN[3:35], GIVEN[36:52], "01")
    assert trace.header == GIVEN


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        GIVEN.upper(),
        GIVEN[:-1],
        GIVEN + "\n",
        f"{GIVEN}-more",  # version 00 says nothing more
        f"ff{GIVEN[2:]}",
        f"00-{'0' * 32}-{GIVEN[36:]}",
        f"{GIVEN[:36]}{'0' * 16}-01",
    ],
)
def test_what_is_no_traceparent_is_none(header):
    assert Trace.parse(header) is None


def test_a_later_version_is_read_as_far_as_it_is_known():
    assert Trace.parse(f"01{GIVEN[2:]}-more").header == GIVEN


def test_a_child_is_another_span_of_the_same_trace():
    parent = Trace.parse(GIVEN)
    first, second = parent.child(), parent.child()

    assert first.trace_id == second.trace_id == parent.trace_id
    assert len({first.span_id, second.span_id, parent.span_id}) == 3
    assert Trace.parse(first.header) == first


def test_a_new_trace_is_a_valid_one_of_its_own():
    assert Trace.parse(Trace.new().header)
    assert Trace.new().trace_id != Trace.new().trace_id
