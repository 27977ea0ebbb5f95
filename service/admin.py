"""`python -m service.admin`: what an operator may want to see and to do.

dead             jobs that failed because their workers were lost, the oldest first
requeue ID ...   send each of them again, as a job of its own: an end that was written stays written
secret           a new secret to sign webhooks with, for WEBHOOK_SECRET
"""

import argparse
import sys
from collections.abc import Sequence

import redis

from service.jobs.connection import patient_client
from service.jobs.errors import JobNotFound, JobPlaneError
from service.jobs.model import Job, new_job
from service.jobs.queue import JobQueue, RqJobQueue
from service.jobs.settings import PlaneSettings, settings_or_exit
from service.jobs.store import JobStore, RedisJobStore
from service.jobs.upkeep import Upkeep
from service.webhooks.signature import new_secret


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
    made = new_job(
        dead.spec,
        lifetime=dead.lifetime,
        queue_limit=dead.queue_limit,
        traceparent=dead.traceparent,
        webhook=dead.webhook,
    )
    job = made.model_copy(update={"owner": dead.owner})
    store.create(job)
    queue.enqueue(job)
    upkeep.buried(job_id)
    return job


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m service.admin", description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("dead", help="jobs that failed because their workers were lost")
    actions.add_parser("requeue", help="send dead letters again").add_argument("ids", nargs="+", metavar="ID")
    actions.add_parser("secret", help="a new secret to sign webhooks with")
    arguments = parser.parse_args()
    if arguments.action == "secret":
        return print(new_secret())
    settings = settings_or_exit(PlaneSettings)
    client = patient_client(settings.redis_url)
    upkeep, store = Upkeep(client), RedisJobStore(client)
    try:
        if arguments.action == "dead":
            for job in dead_letters(upkeep, store):
                print(job.id, job.model, job.finished_at, f"{job.attempt} attempts")
            return
        queue = RqJobQueue(redis.Redis.from_url(settings.redis_url))
        for job_id in arguments.ids:
            print(job_id, "->", requeue(job_id, upkeep, store, queue).id)
    except (JobPlaneError, redis.RedisError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
