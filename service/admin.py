"""`python -m service.admin`: what an operator may want to see and to do.

dead             jobs that failed because their workers were lost, the oldest first
requeue ID ...   send each of them again, as a job of its own: an end that was written stays written
"""

import argparse
import sys
from collections.abc import Sequence

import redis

from service.jobs.connection import patient_client
from service.jobs.errors import JobNotFound, JobPlaneError
from service.jobs.model import Job, new_job
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


def requeue(job_id: str, upkeep: Upkeep, store: JobStore) -> Job:
    """Send a dead letter again; gives the new job.

    Raises:
        JobNotFound: it is no dead letter.
    """
    if job_id not in upkeep.dead():
        raise JobNotFound(job_id)
    dead = store.get(job_id)
    job = new_job(
        dead.spec,
        lifetime=dead.lifetime,
        queue_limit=dead.queue_limit,
        owner=dead.owner,
        priority=dead.priority,
        traceparent=dead.traceparent,
    )
    store.create(job)
    upkeep.buried(job_id)
    return job


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m service.admin", description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
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
        for job_id in arguments.ids:
            print(job_id, "->", requeue(job_id, upkeep, store).id)
    except (JobPlaneError, redis.RedisError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
