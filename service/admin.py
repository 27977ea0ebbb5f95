"""`python -m service.admin`: what an operator may want to see and to do.

queues           every model: how many jobs wait and run, how long the next one has waited, and its workers
workers          every worker that is alive, and what it does
dead             jobs that failed because their workers were lost, the oldest first
requeue ID ...   send each of them again, as a job of its own: an end that was written stays written
"""

import argparse
import sys
from collections.abc import Sequence

import redis

from service.jobs.backlog import Backlog, Standing
from service.jobs.connection import patient_client
from service.jobs.errors import JobNotFound, JobPlaneError
from service.jobs.model import Job, new_job
from service.jobs.queue import JobQueue, RqJobQueue, SeenWorker
from service.jobs.settings import PlaneSettings, settings_or_exit
from service.jobs.store import JobStore, RedisJobStore
from service.jobs.upkeep import Upkeep


def dead_letters(upkeep: Upkeep, store: JobStore) -> Sequence[Job]:
    """The dead letters whose records are kept still."""
    found = []
    for job_id in upkeep.dead():
        try:
            found.append(store.get(job_id))
        except JobNotFound:
            upkeep.buried(job_id)
    return found


def requeue(job_id: str, upkeep: Upkeep, store: JobStore, queue: JobQueue) -> Job:
    """Send a dead letter again; gives the new job.

    Raises:
        JobNotFound: it is no dead letter.
    """
    if job_id not in upkeep.dead():
        raise JobNotFound(job_id)
    dead = store.get(job_id)
    made = new_job(dead.spec, lifetime=dead.lifetime, queue_limit=dead.queue_limit, traceparent=dead.traceparent)
    job = made.model_copy(update={"owner": dead.owner})
    store.create(job)
    queue.enqueue(job)
    upkeep.buried(job_id)
    return job


QUEUES = ("model", "waiting", "running", "oldest wait", "workers")
WORKERS = ("worker", "model", "state", "job", "host", "pid", "last seen")


def queue_row(standing: Standing) -> Sequence[str]:
    """A model's queue as a row of `QUEUES`."""
    waits = f"{standing.oldest_wait:.1f} s" if standing.waiting else "-"
    return (standing.model, str(standing.waiting), str(standing.running), waits, str(standing.workers))


def worker_row(worker: SeenWorker) -> Sequence[str]:
    """A worker as a row of `WORKERS`."""
    did = worker.job_id or "-"
    return (worker.name, worker.model, worker.state, did, worker.host, worker.pid, worker.last_seen)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m service.admin", description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("queues", help="how every model's queue stands")
    actions.add_parser("workers", help="every worker that is alive, and what it does")
    actions.add_parser("dead", help="jobs that failed because their workers were lost")
    actions.add_parser("requeue", help="send dead letters again").add_argument("ids", nargs="+", metavar="ID")
    arguments = parser.parse_args()
    settings = settings_or_exit(PlaneSettings)
    client = patient_client(settings.redis_url)
    upkeep, store = Upkeep(client), RedisJobStore(client)
    try:
        if arguments.action == "dead":
            for job in dead_letters(upkeep, store):
                print(job.id, job.model, job.finished_at, f"{job.attempt} attempts")
            return
        queue = RqJobQueue(redis.Redis.from_url(settings.redis_url))
        if arguments.action == "queues":
            print(table(QUEUES, [queue_row(standing) for standing in Backlog(client, queue).standings()]))
            return
        if arguments.action == "workers":
            print(table(WORKERS, [worker_row(worker) for worker in queue.workers()]))
            return
        for job_id in arguments.ids:
            print(job_id, "->", requeue(job_id, upkeep, store, queue).id)
    except (JobPlaneError, redis.RedisError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
