"""`python -m admin`: what an operator may want to see and to do.

queues           every model: how many jobs wait and run, how long the next one has waited, and its workers
workers          every worker that is alive, and what it does
dead             jobs that failed because their workers were lost, the oldest first
requeue ID ...   send each of them again, as a job of its own: an end that was written stays written
keys             API keys: `keys create NAME`, `keys list`, `keys revoke ID`
models check     every model of the models file: what keeps it from being served, and the command that mends it
usage            what each key used on each day: `usage --days 31 --key ID --json`
secret           a new secret to sign webhooks with, for WEBHOOK_SECRET; a key's own: `secret create KEY`,
                 `secret rotate KEY`, `secret drop KEY`, `secret list`
"""

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import redis

from admin.keys import add_keys, create_key, export_keys, import_keys, list_keys, revoke_key
from admin.models_check import checked, remarks
from admin.snapshot import snapshot
from admin.usage import HEAD as USAGE
from admin.usage import add_usage, usage_lines, usage_rows, used
from jobs.catalogue import ModelDeclaration, read_models_file
from jobs.errors import InvalidCatalogue, JobNotFound, JobPlaneError
from jobs.model import Job, new_job
from jobs.redis.backlog import Backlog, Standing
from jobs.redis.connection import patient_client, patient_rq_client, reached
from jobs.redis.queue import RqJobQueue, SeenWorker
from jobs.redis.replicated import BlockingReplicated
from jobs.redis.store import JobStore, RedisJobStore
from jobs.redis.upkeep import Upkeep
from jobs.redis.usage import UsageTotals
from process.audit import Audit, AuditUnavailable
from process.cell import cell_of
from process.settings import PlaneSettings, settings_or_exit
from service.api_keys import KeyRing
from service.settings import Settings
from webhooks.secrets import TRUSTED as SECRETS_TRUSTED
from webhooks.secrets import SecretRing
from webhooks.signature import new_secret


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
        webhook=dead.webhook,
        labels=dead.labels,
        cell=cell_of(dead.id) or "",
    )
    store.create(job)
    upkeep.buried(job_id)
    return job


QUEUES = ("model", "waiting", "running", "oldest wait", "workers")
WORKERS = ("worker", "models", "state", "job", "host", "pid", "last seen")


def queue_row(standing: Standing) -> Sequence[str]:
    """A model's queue as a row of `QUEUES`."""
    waits = f"{standing.oldest_wait:.1f} s" if standing.waiting else "-"
    return (standing.model, str(standing.waiting), str(standing.running), waits, str(standing.workers))


def worker_row(worker: SeenWorker) -> Sequence[str]:
    """A worker as a row of `WORKERS`."""
    did, models = worker.job_id or "-", ", ".join(worker.models) or "-"
    return (worker.name, models, worker.state, did, worker.host, worker.pid, worker.last_seen)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))
    return "\n".join(line.rstrip() for line in lines)


def create_secret(ring: KeyRing, secrets: SecretRing, key_id: str) -> None:
    """A key's first secret; it is said once."""
    _known(ring, key_id)
    if secrets.of(key_id):
        sys.exit(f"key {key_id} has a secret: `secret rotate {key_id}` makes another")
    print(secrets.rotate(key_id, timedelta(0)))


def rotate_secret(ring: KeyRing, secrets: SecretRing, key_id: str, overlap: timedelta) -> None:
    """A key's next secret; it is said once."""
    _known(ring, key_id)
    print(secrets.rotate(key_id, overlap))


def list_secrets(ring: KeyRing, secrets: SecretRing) -> None:
    """Every key that has secrets of its own, without them."""
    names = {key.id: key.name for key in ring.all().values()}
    for key_id, found in secrets.all().items():
        for each in found:
            until = f"signs until {each.ends_at:%F %T} UTC" if each.ends_at else "signs"
            print(key_id, names.get(key_id, "?"), f"made {each.made_at:%F %T} UTC", until, sep="\t")


def drop_secret(secrets: SecretRing, key_id: str) -> None:
    """The installation's own sign for the key from now on."""
    if not secrets.drop(key_id):
        sys.exit(f"key {key_id} has no secret of its own: `secret list` shows those that have")
    print(f"what is sent for {key_id} is signed with WEBHOOK_SECRET, within {SECRETS_TRUSTED:g} s")


def check_models(models_file: Path) -> None:
    """Says of every model whether it can be served; ends the process with status 1 where one cannot."""
    try:
        file = read_models_file(models_file)
    except InvalidCatalogue as error:
        sys.exit(str(error))
    for line in file.wrong:
        print(f"{models_file}: {line}")
    wrong = 0
    for name, found in file.models:
        troubles = checked(found) if isinstance(found, ModelDeclaration) else found
        wrong += bool(troubles)
        if isinstance(found, ModelDeclaration) and not troubles:
            print(f"{name}: {'; '.join(remarks(found))}")
            continue
        print(f"{name}: cannot be served")
        for trouble in troubles:
            print(f"  - {trouble}")
    if wrong:
        sys.exit(f"{wrong} of {len(file.models)} models of {models_file} cannot be served")
    if file.wrong:
        sys.exit(f"{models_file} cannot be used")


def _known(ring: KeyRing, key_id: str) -> None:
    if key_id not in ring.all():
        sys.exit(f"there is no key {key_id}: `keys list` shows them")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m admin", description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("queues", help="how every model's queue stands")
    actions.add_parser("workers", help="every worker that is alive, and what it does")
    actions.add_parser("dead", help="jobs that failed because their workers were lost")
    actions.add_parser("requeue", help="send dead letters again").add_argument("ids", nargs="+", metavar="ID")
    actions.add_parser("snapshot", help="have Redis write all it holds into a file, and print its path")
    secret = actions.add_parser("secret", help="a new secret to sign webhooks with").add_subparsers(dest="secret")
    secret.add_parser("create", help="a key's own secret, printed once").add_argument("id", metavar="KEY")
    rotate = secret.add_parser("rotate", help="a key's next secret, printed once")
    rotate.add_argument("id", metavar="KEY")
    rotate.add_argument(
        "--overlap", type=float, default=24, metavar="HOURS", help="how long the one before signs too (24)"
    )
    secret.add_parser("drop", help="WEBHOOK_SECRET signs for a key again").add_argument("id", metavar="KEY")
    secret.add_parser("list", help="every key that has secrets of its own, without them")
    models = actions.add_parser("models", help="the models file").add_subparsers(dest="models", required=True)
    models.add_parser("check", help="what keeps each model from being served, and the command that mends it")
    add_keys(actions)
    add_usage(actions)
    return parser


def is_change(arguments: argparse.Namespace) -> bool:
    """Whether an action writes."""
    what = getattr(arguments, "keys", getattr(arguments, "secret", None))
    return arguments.action in ("requeue", "keys", "secret") and what != "list"


def _audit(settings: PlaneSettings) -> Audit:
    try:
        return Audit(settings.audit_log)
    except AuditUnavailable as error:
        sys.exit(str(error))


def noted(arguments: argparse.Namespace, audit: Audit) -> None:
    """Notes an action that writes before it is done: who began it, and about what."""
    if is_change(arguments):
        about = {name: value for name in ("name", "id", "ids") if (value := getattr(arguments, name, None)) is not None}
        what = getattr(arguments, "keys", getattr(arguments, "secret", None))
        audit.note("admin_command", command=" ".join(filter(None, (arguments.action, what))), by=user(), **about)


def user() -> str:
    """Who runs this, by the system; a number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def main() -> None:
    """Do what the arguments say."""
    arguments = _parser().parse_args()
    if arguments.action == "secret" and arguments.secret is None:
        return print(new_secret())
    if arguments.action == "models":
        return check_models(settings_or_exit(Settings).models_file)
    settings = settings_or_exit(PlaneSettings)
    try:
        reached(settings.redis_url)
    except (JobPlaneError, redis.RedisError) as error:
        sys.exit(str(error))
    audit = _audit(settings)
    client = patient_client(settings.redis_url)
    upkeep, store, ring, secrets = Upkeep(client), RedisJobStore(client), KeyRing(client), SecretRing(client)
    # RQ reads bytes: a client of its own.
    queue = RqJobQueue(patient_rq_client(settings.redis_url))
    try:
        noted(arguments, audit)
        match arguments.action, getattr(arguments, "keys", getattr(arguments, "secret", None)):
            case "queues", _:
                print(table(QUEUES, [queue_row(standing) for standing in Backlog(client, queue).standings()]))
            case "workers", _:
                print(table(WORKERS, [worker_row(worker) for worker in queue.workers()]))
            case "snapshot", _:
                print(snapshot(client))
            case "dead", _:
                for job in dead_letters(upkeep, store):
                    print(job.id, job.model, job.finished_at, f"{job.attempt} attempts")
            case "requeue", _:
                for job_id in arguments.ids:
                    print(job_id, "->", requeue(job_id, upkeep, store).id)
            case "usage", _:
                found = used(UsageTotals(client), arguments)
                print(usage_lines(found) if arguments.json else table(USAGE, usage_rows(found, ring)))
            case "keys", "create":
                create_key(ring, arguments, audit)
            case "keys", "export":
                export_keys(ring, arguments.ids)
            case "keys", "import":
                import_keys(ring, sys.stdin, audit)
            case "keys", "list":
                list_keys(ring)
            case "keys", "revoke":
                revoke_key(ring, arguments.id, audit)
            case "secret", "create":
                create_secret(ring, secrets, arguments.id)
            case "secret", "rotate":
                rotate_secret(ring, secrets, arguments.id, timedelta(hours=max(0, arguments.overlap)))
            case "secret", "list":
                list_secrets(ring, secrets)
            case "secret", "drop":
                drop_secret(secrets, arguments.id)
        if is_change(arguments) and not BlockingReplicated(client, settings.redis_replicas).confirmed():
            sys.exit(
                f"this was done, and fewer than {settings.redis_replicas} replicas have it: a failover may undo it"
            )
    except (JobPlaneError, redis.RedisError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
