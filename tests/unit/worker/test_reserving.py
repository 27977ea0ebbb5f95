"""Which waiting job joins, and when none does."""

from worker.reserving import PASSED_OVER, Reserving


def taken(reserving: Reserving, messages: list[str], fitting: list[str]) -> list[str]:
    """The messages that are taken, one after the other, until none is allowed."""
    found, left = [], list(messages)
    while message := reserving.allowed(left, fitting):
        reserving.took(message, left)
        left.remove(message)
        found.append(message)
    return found


def test_the_first_that_fits_joins():
    assert Reserving().allowed(["other", "one", "two"], ["one", "two"]) == "one"


def test_what_does_not_fit_is_passed_over_so_often_and_no_more():
    behind = [f"behind {number}" for number in range(PASSED_OVER + 3)]

    assert taken(Reserving(), ["other", *behind], behind) == behind[:PASSED_OVER]


def test_what_was_passed_over_for_long_joins_as_soon_as_it_fits():
    reserving, behind = Reserving(passed_over=1), ["one", "two"]
    assert taken(reserving, ["other", *behind], behind) == ["one"]

    assert taken(reserving, ["other", "two"], ["other", "two"]) == ["other", "two"]


def test_it_is_counted_from_one_cohort_to_the_next():
    reserving = Reserving(passed_over=2)
    assert taken(reserving, ["other", "one"], ["one"]) == ["one"]

    assert taken(reserving, ["other", "two", "three"], ["two", "three"]) == ["two"]


def test_what_another_worker_took_holds_nobody_back():
    reserving, behind = Reserving(passed_over=1), ["one", "two"]
    taken(reserving, ["other", *behind], behind)

    assert taken(reserving, ["two"], ["two"]) == ["two"]


def test_what_is_before_all_that_joined_was_not_passed_over():
    reserving = Reserving(passed_over=1)
    taken(reserving, ["one", "last"], ["one"])

    assert taken(reserving, ["last", "two"], ["two"]) == ["two"]
