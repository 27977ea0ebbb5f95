"""What Prometheus scrapes. No part of the API's description: it is for operators, whose proxy keeps it from others."""

import logging

import redis
from anyio import to_thread
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from process import metrics
from service.http.dependencies import PlaneOfApp
from service.plane import Plane

router = APIRouter(include_in_schema=False)

log = logging.getLogger(__name__)

_OF_QUEUES = (metrics.JOBS_WAITING, metrics.JOBS_RUNNING, metrics.OLDEST_WAIT_SECONDS, metrics.WORKERS_ALIVE)


@router.get("/metrics")
async def scrape(plane: PlaneOfApp) -> Response:
    """This process's metrics, and how the queues stand; without the latter where Redis does not answer."""
    shown = await plane.scraped.outcome(lambda: to_thread.run_sync(_shown, plane))
    return Response(shown, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _shown(plane: Plane) -> bytes:
    for gauge in _OF_QUEUES:  # a model that is gone, and a Redis that is: no old figure is shown for a new one
        gauge.clear()
    metrics.FOLLOWERS.set(plane.stream_bound.count())
    try:
        for standing in plane.standings():
            said = (standing.waiting, standing.running, standing.oldest_wait, standing.workers)
            for gauge, value in zip(_OF_QUEUES, said, strict=True):
                gauge.labels(standing.model).set(value)
    except redis.RedisError as error:
        log.warning("the queues cannot be looked at: %s", error)
    return generate_latest(metrics.REGISTRIES[metrics.API])
