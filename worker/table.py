"""The desks of jobs that share a model: they join between two steps, and leave when they have their pictures.

The first job comes by its message. While rows are free, further ones are taken from the head of the model's order. What
follows a job's pictures, encoding and storing, goes on in a thread beside the next turn.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime
from time import monotonic

import redis
import torch

from jobs.model import Job
from jobs.redis.backlog import seconds_waited
from jobs.redis.head import Entry
from process import metrics
from worker.context import WorkerContext
from worker.desk import Desk, State
from worker.lease import Leases
from worker.sharing import Seat, Sharing

log = logging.getLogger(__name__)

#: Jobs whose results are encoded and stored at a time. While more are, no job joins: each holds its pictures.
PUBLISHED_AT_ONCE = 4
#: Seconds between two looks at the order while results are stored and nothing else is done.
LOOK = 0.05
#: Seconds for which jobs join before all are let end once: RQ looks every ten minutes after what others left, and does
#: so between two messages alone.
JOINING = 600.0


def is_lone(job: Job) -> bool:
    """Whether a queued job shares with nobody, whatever it asks for.

    A second attempt may be of a job that ends its worker: it does so to its neighbours once.
    """
    return job.attempt > 0 or job.spec.sampling.alone


def serve(first: Job, context: WorkerContext) -> None:
    """Works off a job that came by its message, and those that join it."""
    with context.leases() as leases:
        sharing, max_rows = None, context.engine.max_rows
        if max_rows is not None and context.engine.share is not None and not is_lone(first):
            sharing = context.engine.share()
        seat = None if sharing is None else sharing.seat(first.spec)
        if sharing is None or max_rows is None or seat is None or seat.rows > max_rows:
            Desk(first, context, context.engine, leases).to_its_end()
            return
        with closing(sharing), ThreadPoolExecutor(PUBLISHED_AT_ONCE, "publishing") as threads:
            Table(context, sharing, leases, threads, max_rows).serve(first, seat)


class Table:
    """The jobs that share a model now."""

    def __init__(
        self,
        context: WorkerContext,
        sharing: Sharing,
        leases: Leases,
        threads: ThreadPoolExecutor,
        max_rows: int,
    ) -> None:
        self._context, self._sharing, self._leases, self._threads = context, sharing, leases, threads
        self._engine, self._max_rows = context.engine.among(sharing), max_rows
        self._seats: dict[Desk, Seat] = {}
        self._published: set[Future] = set()
        self._until = monotonic() + JOINING
        self._tried, self._known = set[str](), dict[str, Seat | None]()

    def serve(self, first: Job, seat: Seat) -> None:
        """Until no job is left."""
        self._sit_down(Desk(first, self._context, self._engine, self._leases), seat)
        while self._seats or self._published:
            self._leases.got_on()
            self._take_more()
            if not self._sharing.is_empty:
                self._turn()
            elif not self._seats:
                wait(self._published, timeout=LOOK, return_when=FIRST_COMPLETED)
            for desk in list(self._seats):
                self._advance(desk)
            self._published = {each for each in self._published if not each.done()}

    def _sit_down(self, desk: Desk, seat: Seat) -> None:
        self._seats[desk] = seat
        self._advance(desk)

    def _advance(self, desk: Desk) -> None:
        state = desk.advance()
        if state is State.WAITING:
            return
        del self._seats[desk]
        if state is State.DRAWN:
            self._published.add(self._threads.submit(desk.to_its_end))

    def _turn(self) -> None:
        try:
            size = self._sharing.turn()
        except torch.AcceleratorError:
            log.critical("the device is lost; this process ends, and its jobs are tried again", exc_info=True)
            self._context.give_up()
            raise
        except Exception:
            log.exception("a turn of %d jobs failed", len(self._seats))  # each of them says so when it goes on
            return
        metrics.TURN_ROWS.labels(self._context.model).observe(size.rows)
        metrics.TURN_JOBS.labels(self._context.model).observe(size.jobs)

    def _take_more(self) -> None:
        """Has jobs join, in their order, as long as there are rows for them."""
        context = self._context
        while self._may_take():
            now = datetime.now(UTC)
            # Others are left: a newer worker can read them, or the reaper ends them.
            jobs = {each.message: each.job for each in self._entries() if each.job and each.job.start_by >= now}
            waiting = [message for message in jobs if message not in self._tried]
            seats = {message: self._seat_of(message, jobs[message]) for message in waiting}
            message = context.reserving.allowed(waiting, [each for each in waiting if self._is_free(seats[each])])
            if message is None or not context.may_join():
                return
            job, seat = jobs[message], seats[message]
            assert seat is not None
            self._tried.add(message)
            desk = Desk(job, context, self._engine, self._leases, beside=True)
            self._sit_down(desk, seat)
            if desk.is_begun:  # by this worker, and not by another one meanwhile
                context.reserving.took(message, waiting)
                context.took()
                metrics.ADMISSION_WAIT_SECONDS.labels(context.model).observe(seconds_waited(job, now))

    def _may_take(self) -> bool:
        if self._context.drain.is_asked or monotonic() > self._until or len(self._published) >= PUBLISHED_AT_ONCE:
            return False
        return self._rows < self._max_rows

    @property
    def _rows(self) -> int:
        return sum(seat.rows for seat in self._seats.values())

    def _entries(self) -> Sequence[Entry]:
        try:
            return () if self._context.head is None else self._context.head.entries()
        except redis.RedisError as error:
            log.warning("no job can join: %s", error)
            return ()

    def _seat_of(self, message: str, job: Job) -> Seat | None:
        """What a waiting job needs; None if it must be alone. Its prompts are read for it, once."""
        if message not in self._known:
            self._known[message] = None if is_lone(job) else self._sharing.seat(job.spec)
        return self._known[message]

    def _is_free(self, seat: Seat | None) -> bool:
        """Whether a job could join now."""
        if seat is None or self._rows + seat.rows > self._max_rows:
            return False
        return all(other.key == seat.key for other in self._seats.values())
