"""Whether the process answers, and whether it can take edits."""

from collections.abc import Mapping
from typing import Literal

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.http.dependencies import PlaneOfApp
from service.http.problems import problems
from service.plane import Plane


class ModelReadiness(BaseModel):
    """Who serves a model."""

    workers: int = Field(description="Workers that are alive.")


class Readiness(BaseModel):
    """That edits are taken, and who would work them off."""

    status: Literal["ready"] = "ready"
    models: dict[str, ModelReadiness]


class Liveness(BaseModel):
    """That the process answers."""

    status: Literal["alive"] = "alive"


router = APIRouter(tags=["health"])


@router.get("/livez")
async def alive() -> Liveness:
    """The process answers. Asks nobody else, so that a lost Redis does not restart the API."""
    return Liveness()


@router.get("/readyz", responses=problems(503))
async def ready(plane: PlaneOfApp) -> Readiness:
    """Redis answers and the storage takes objects; says how many workers each model has.

    A model without a worker does not make the API unready: its edits wait in the queue.
    """
    workers = await plane.readiness.outcome(lambda: _looked(plane))
    return Readiness(models={model: ModelReadiness(workers=count) for model, count in workers.items()})


async def _looked(plane: Plane) -> Mapping[str, int]:
    await plane.store.ping()
    await plane.storage.check()
    return {model: await to_thread.run_sync(plane.queue.num_workers, model) for model in plane.catalogue}
