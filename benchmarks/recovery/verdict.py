"""What became of a world's accepted edits, and how long each kill was felt."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import cast

import httpx

from benchmarks.recovery.journal import Journal, Line
from benchmarks.recovery.world import LOOK, World
from jobs.model import TRANSITIONS, JobStatus
from jobs.redis import keys
from stack.patience import ANSWER, PATIENCE

COUNTS = ("accepted", "finished", "succeeded", "lost", "published_twice", "outbox_twice", "strays")
ENDS = {str(status) for status in JobStatus if not TRANSITIONS[status]}
#: What the interrupted next step of a killed process is.
NEXT_STEP = {
    "after_pop": "step",
    "before_start": "step",
    "while_running": "step",
    "mid_upload": "step",
    "before_commit": "step",
    "before_webhook": "delivery",
    "inside_maintenance": "sweep",
    "returning_a_job": "sweep",
    "failover": "accepted",
    "worker-1": "step",
    "worker-2": "step",
    "outbox": "delivery",
    "reaper": "sweep",
}


#: Steps that any job may take: nobody waits for a certain one.
ANY_JOBS = {"sweep", "accepted"}


def _name(kill: Line) -> str:
    """Where a kill fell: the process that was struck at random, else the window."""
    return kill["name"] if "name" in kill else kill["point"]


def recovery(world: World, kill: Line) -> float | None:
    """Seconds from a kill until another process took the interrupted next step; None while none has."""
    return taken_up(
        world.journal, kill, NEXT_STEP[_name(kill)], victim=kill["victim"] if "victim" in kill else kill["pid"]
    )


def taken_up(journal: Journal, kill: Line, step: str, *, victim: int) -> float | None:
    """Seconds from a kill until a process that is not its victim took a step; None while none has."""
    for line in journal.of(step):
        if line["at"] > kill["at"] and line["pid"] != victim and (step in ANY_JOBS or line["job"] == kill["job"]):
            return line["at"] - kill["at"]
    return None


def was_felt(world: World, kill: Line) -> bool:
    """Whether a process that was killed at a random time was in the middle of anything that somebody waits for."""
    step = NEXT_STEP[_name(kill)]
    if step in ANY_JOBS or kill["job"] is None:
        return step in ANY_JOBS
    if step == "step":
        return world.finished.get(kill["job"], float("inf")) > kill["at"]
    return not any(line["job"] == kill["job"] and line["at"] <= kill["at"] for line in world.journal.of("delivery"))


def spread(seconds: Sequence[float]) -> dict[str, float | None]:
    """Median and 99th percentile; of fewer than a hundred the latter is near the largest."""
    if not seconds:
        return {"recovery_p50_s": None, "recovery_p99_s": None}
    p99 = quantiles(seconds, n=100, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return {"recovery_p50_s": round(median(seconds), 2), "recovery_p99_s": round(p99, 2)}


async def settled(world: World) -> None:
    """Wait until every accepted edit has ended and its webhook has arrived, or `PATIENCE` is over."""
    deadline = time.monotonic() + PATIENCE
    while set(world.accepted) - world.ended and time.monotonic() < deadline:
        await asyncio.sleep(LOOK)


async def counted(world: World, objects: Path) -> dict[str, int]:
    """How a world's edits ended.

    Lost is an edit that has not ended, whose webhook never arrived, or whose results cannot be fetched.
    """
    counts = dict.fromkeys(
        ("accepted", "finished", "succeeded", "lost", "published_twice", "outbox_twice", "strays"), 0
    )
    counts["accepted"] = len(world.accepted)
    async with httpx.AsyncClient(timeout=ANSWER) as storage:
        for job_id in world.accepted:
            job = (await world.api.get(f"/v1/edits/{job_id}")).json()
            ended, succeeded = job.get("status") in ENDS, job.get("status") == "succeeded"
            counts["finished"] += ended
            if ended:
                world.finished[job_id] = datetime.fromisoformat(job["finished_at"]).timestamp()
            counts["succeeded"] += succeeded
            fetched = [await _is_there(storage, artifact) for artifact in job.get("artifacts", ())]
            whole = ended and job_id in world.ended and all(fetched) and (bool(fetched) or not succeeded)
            counts["lost"] += not whole
            events = cast(list[tuple[str, dict[str, str]]], await world.client.xrange(keys.events(job_id)))
            ends = sum(event["e"] in ENDS for _, event in events)
            counts["published_twice"] += ends > 1 or len(world.bodies.get(job_id, ())) > 1
            counts["outbox_twice"] += len(world.entries.get(job_id, ())) > 1
    counts["strays"] = await _strays(objects / world.name / "jobs", world)
    return counts


async def _is_there(storage: httpx.AsyncClient, artifact: dict) -> bool:
    response = await storage.get(artifact["url"])
    return response.is_success and len(response.content) == artifact["bytes"]


async def _strays(jobs: Path, world: World, patience: float = PATIENCE) -> int:
    """Executions in the storage that no record names, once the reaper has had time to remove them."""
    deadline = time.monotonic() + patience
    while True:
        found = {path.relative_to(jobs).parts[:2] for path in jobs.rglob("*") if path.is_file()}
        # Any job's, also of one whose 202 was lost on its way: it is a job all the same.
        named = [await world.execution(job_id) for job_id, _ in found]
        strays = sum(execution != name for (_, execution), name in zip(found, named, strict=True))
        if not strays or time.monotonic() > deadline:
            return strays
        await asyncio.sleep(LOOK)
