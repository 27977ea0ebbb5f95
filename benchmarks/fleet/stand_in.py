"""Workers that sleep where a model would work: all else is the service's own code and speaks to a real Redis.

A process holds several workers, a thread each, so that two hundred fit on a small machine. Each has the connections of
a worker's process. `worker.tasks` keeps one context for its process, so each thread stands behind it with its own.
"""

import logging
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, cast

import redis
import torch
from PIL import Image

from jobs.catalogue import load_catalogue
from jobs.moves import Move
from jobs.redis.store import Begun, JobStore
from jobs.storage import ObjectStorage
from p2p.edit import EditResult
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec
from p2p.trajectory import Trajectory
from worker import serving
from worker.engine import Engine
from worker.gpu_worker import GpuWorker
from worker.runs_in_cohort import Stepped
from worker.sampler import Sampler
from worker.serving import ContextOf
from worker.settings import WorkerSettings
from worker.taking import OneModel, Taking
from worker.tasks import WorkerContext, set_context
from worker.usage import Share

#: Of a job: 2 s in twenty steps, as Stable Diffusion takes on a large GPU.
STEPS, STEP = 20, 0.1
#: Of a forward pass: a source and a target, both with guidance.
ROWS = 4
MODEL = "scenes"


class Sleeper:
    """`Sampler` without a model: sleeps for each step, and gives pictures of one pixel."""

    def source_of(self, spec: EditSpec) -> str:
        return spec.source.prompt

    def steps(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        num_steps, latents = spec.sampling.steps or 1, torch.zeros(1)
        due = time.monotonic()
        for index in range(num_steps):
            # By the clock and not by the step before: what the machine is late with makes no job longer.
            due += STEP
            time.sleep(max(0.0, due - time.monotonic()))
            yield Share("denoise", STEP, ROWS, ROWS, 1)
            yield DenoisingStep(index=index, num_steps=num_steps, latents=latents)
        images = (Image.new("RGB", (1, 1)),) * (1 + len(spec.targets))
        return tuple(
            EditResult(images=images, latents=latents, prompts=(), maps=(), noise=latents, seconds={}, seed=seed)
            for seed in spec.seeds
        )

    def preview(self, step: DenoisingStep) -> Sequence[Image.Image]:
        return ()


class Nowhere:
    """What a worker asks of `ObjectStorage`, which keeps nothing."""

    def put(self, key: str, data: object, content_type: str) -> None:
        """Taken, and forgotten."""

    def remove_all(self, prefix: str) -> None:
        """There is nothing."""


class OfThread(threading.local):
    """`WorkerContext` of whichever thread asks."""

    context: WorkerContext | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)


class Timed:
    """A store whose begins of jobs are timed.

    Attributes:
        seconds: that each took, from the worker's call to its answer.
    """

    def __init__(self, store: JobStore, seconds: list[float]) -> None:
        self._store, self._seconds = store, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def begin(self, move: Move) -> Begun:
        """`RedisJobStore.begin`."""
        began = time.perf_counter()
        begun = self._store.begin(move)
        self._seconds.append(time.perf_counter() - began)
        return begun


class ThreadWorker(GpuWorker):
    """`GpuWorker` in a thread, where no signal comes: it ends with the others of its process."""

    over = threading.Event()

    def _install_signal_handlers(self) -> None:
        threading.Thread(target=self._end, daemon=True).start()

    def _end(self) -> None:
        self.over.wait()
        self._stop_requested = True


def serve(redis_url: str, number: int, orders: Connection) -> None:
    """So many workers, in this process, until anything comes over `orders`; sends how long each begin took."""
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("rq.worker").disabled = True  # a line for each job otherwise
    serving.GpuWorker = ThreadWorker  # type: ignore[misc]
    contexts, seconds = OfThread(), list[float]()
    set_context(cast(WorkerContext, contexts))
    settings = WorkerSettings(redis_url=redis_url)
    declaration = load_catalogue(settings.models_file)[MODEL]
    engine = Engine(cast(Sampler, Sleeper()), declaration, revision="fleet")

    def taking(client: redis.Redis, context_of: ContextOf) -> Taking:
        context = context_of(declaration, engine)
        contexts.context = replace(context, store=cast(JobStore, Timed(context.store, seconds)))
        return OneModel(MODEL)

    def one() -> None:
        serving.work(taking, settings, cast(ObjectStorage, Nowhere()))

    threads = [threading.Thread(target=one, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    orders.recv()
    ThreadWorker.over.set()
    for thread in threads:
        thread.join()
    orders.send(seconds)
