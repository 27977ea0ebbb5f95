"""What is measured, by Prometheus's rules: units in the names, and labels of few values (never ids, never prompts).

One registry a process, so that none shows what it does not do. A new metric is a declaration here that names the
processes which measure it; `python -m tools.metrics_table --write` puts it into docs/operations.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

API, WORKER, REAPER, OUTBOX, ROUTER = "API", "worker", "reaper", "outbox", "router"
REGISTRIES: Mapping[str, CollectorRegistry] = {
    name: CollectorRegistry() for name in (API, WORKER, REAPER, OUTBOX, ROUTER)
}


@dataclass(frozen=True)
class Declared:
    """A metric as it is documented."""

    name: str
    kind: str
    labels: Sequence[str]
    measured_by: Sequence[str]
    meaning: str


#: All of them, in the order of this file.
DECLARED: list[Declared] = []


class MetricsUnavailable(Exception):
    """Nobody can listen on the address of the metrics, most often because another process does."""

    code = "metrics_unavailable"

    def __init__(self, host: str, port: int, reason: object) -> None:
        super().__init__(f"METRICS_PORT {port} of {host} cannot be had ({reason}): give each process one of its own")


AnyMetric = TypeVar("AnyMetric", Counter, Gauge, Histogram)


def _declare(name: str, metric: AnyMetric, by: Sequence[str], labels: Sequence[str], meaning: str) -> AnyMetric:
    for process in by:
        REGISTRIES[process].register(metric)
    DECLARED.append(Declared(name, type(metric).__name__.lower(), labels, by, meaning))
    return metric


def _counter(name: str, *labels: str, by: Sequence[str], meaning: str) -> Counter:
    return _declare(name, Counter(name, meaning, labels, registry=None), by, labels, meaning)


def _gauge(name: str, *labels: str, by: Sequence[str], meaning: str) -> Gauge:
    return _declare(name, Gauge(name, meaning, labels, registry=None), by, labels, meaning)


def _histogram(name: str, *labels: str, by: Sequence[str], buckets: Sequence[float], meaning: str) -> Histogram:
    return _declare(name, Histogram(name, meaning, labels, registry=None, buckets=buckets), by, labels, meaning)


#: Requests take a millisecond or so; the longest wait for a job on purpose.
_REQUEST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
#: From a small model's step on a GPU to a large one's on a CPU.
_STEP = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
#: From one row, or one job, to more than a large GPU gains by.
_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)
#: From an idle worker's to a day in the queue.
_WAIT = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)

HTTP_REQUEST_SECONDS = _histogram(
    "p2p_http_request_seconds",
    "method",
    "route",
    "status",
    by=(API,),
    buckets=_REQUEST,
    meaning="Requests, and how long until their answer began; status is a class, such as 2xx.",
)
HTTP_PROBLEMS = _counter(
    "p2p_http_problems_total",
    "method",
    "route",
    "code",
    by=(API,),
    meaning='Problem documents answered, by their code. Edits that were refused: method="POST", route="/v1/edits".',
)
FOLLOWERS = _gauge("p2p_followers", by=(API,), meaning="Waits and event streams that are open.")
CONNECTIONS_ENDED = _counter(
    "p2p_connections_ended_total",
    "code",
    by=(API,),
    meaning="Connections that the API ended before a request was read or an answer was: by the code of the answer, "
    "made_room (for another one), answer_not_read.",
)
MODELS_FILE_RELOADS = _counter(
    "p2p_models_file_reloads_total",
    "result",
    by=(API,),
    meaning="Times that the models file was read again; result is used or refused.",
)
MODELS_FILE_REFUSED = _gauge(
    "p2p_models_file_refused",
    by=(API,),
    meaning="1 while the models file cannot be used and what it said before is in force, else 0.",
)
JOBS_ACCEPTED = _counter("p2p_jobs_accepted_total", "model", by=(API,), meaning="Jobs answered with 202.")
JOBS_WAITING = _gauge("p2p_jobs_waiting", "model", by=(API,), meaning="Jobs that wait for a worker.")
JOBS_RUNNING = _gauge("p2p_jobs_running", "model", by=(API,), meaning="Jobs that a worker has.")
OLDEST_WAIT_SECONDS = _gauge(
    "p2p_oldest_wait_seconds",
    "model",
    by=(API,),
    meaning="How long the job has waited that must be begun before all others; 0 where none waits.",
)
WORKERS_ALIVE = _gauge("p2p_workers_alive", "model", by=(API,), meaning="Workers that are alive.")

JOBS_ENDED = _counter(
    "p2p_jobs_ended_total",
    "model",
    "status",
    "code",
    by=(API, WORKER, REAPER),
    meaning="Jobs that came to an end, each counted by the process that wrote it; code is that of a failure.",
)

ATTEMPTS = _counter("p2p_attempts_total", "model", by=(WORKER,), meaning="Executions of jobs that were begun.")
QUEUE_WAIT_SECONDS = _histogram(
    "p2p_queue_wait_seconds",
    "model",
    by=(WORKER,),
    buckets=_WAIT,
    meaning="From a job's last queueing until it was begun.",
)
ADMISSION_WAIT_SECONDS = _histogram(
    "p2p_admission_wait_seconds",
    "model",
    by=(WORKER,),
    buckets=_WAIT,
    meaning="Of jobs that joined others: from a job's last queueing until it joined.",
)
TURN_ROWS = _histogram(
    "p2p_turn_rows",
    "model",
    by=(WORKER,),
    buckets=_ROWS,
    meaning="Rows of a turn, where jobs share the model: of a step, or pictures that are decoded together.",
)
TURN_JOBS = _histogram(
    "p2p_turn_jobs", "model", by=(WORKER,), buckets=_ROWS, meaning="Jobs of a turn, where jobs share the model."
)
FIRST_STEP_SECONDS = _histogram(
    "p2p_first_step_seconds",
    "model",
    by=(WORKER,),
    buckets=_STEP,
    meaning="A job's first step with all that comes before it: finding a kept source, encoding, warming up.",
)
STEP_SECONDS = _histogram(
    "p2p_step_seconds", "model", by=(WORKER,), buckets=_STEP, meaning="Any further step, within the model alone."
)
GPU_SECONDS = _counter(
    "p2p_gpu_seconds_total",
    "model",
    by=(WORKER,),
    meaning="Seconds of jobs' steps, each job's own share; of attempts whose end their worker wrote.",
)
PUBLICATION_SECONDS = _histogram(
    "p2p_publication_seconds",
    "model",
    by=(WORKER,),
    buckets=_STEP,
    meaning="Publication lag: from a job's last step done until its success is written.",
)
MODEL_LOADED = _gauge(
    "p2p_model_loaded",
    "model",
    by=(WORKER,),
    meaning="Of each model that the worker serves: 1 while it is in memory, else 0.",
)
MODEL_BYTES = _gauge(
    "p2p_model_bytes",
    "model",
    by=(WORKER,),
    meaning="Memory of a model's weights and their packed copies when it was loaded; 0 while it is not in memory.",
)
MODEL_LOADS = _counter(
    "p2p_model_loads_total",
    "model",
    "result",
    by=(WORKER,),
    meaning="Times that a model was loaded by a worker that serves several; result is loaded or failed.",
)
MODEL_LOAD_SECONDS = _histogram(
    "p2p_model_load_seconds",
    "model",
    by=(WORKER,),
    buckets=_WAIT,
    meaning="How long loading took, where a worker serves several models.",
)

REAPER_SWEEPS = _counter(
    "p2p_reaper_sweeps_total", "result", by=(REAPER,), meaning="Sweeps; result is complete or cut_short."
)
REAPER_SWEEP_SECONDS = _histogram(
    "p2p_reaper_sweep_seconds", by=(REAPER,), buckets=_REQUEST, meaning="How long a complete sweep takes."
)
WORKERS_LOST = _counter(
    "p2p_workers_lost_total",
    "model",
    by=(REAPER,),
    meaning="Jobs taken back from workers whose lease had run out.",
)
MESSAGES_SENT_AGAIN = _counter(
    "p2p_messages_sent_again_total", "model", by=(REAPER,), meaning="Queued jobs whose message the queue had lost."
)

WEBHOOK_ATTEMPTS = _counter(
    "p2p_webhook_attempts_total",
    "result",
    by=(OUTBOX,),
    meaning="Attempts to deliver a webhook; result is delivered, refused or unreachable where another follows, "
    "given_up where it was the last, disabled where the receiver wants no more.",
)
WEBHOOK_DELIVERY_SECONDS = _histogram(
    "p2p_webhook_delivery_seconds",
    by=(OUTBOX,),
    buckets=_WAIT,
    meaning="Webhook lag: from a job's end written, or sent again on demand, until its webhook is delivered.",
)


for _result in ("used", "refused"):
    MODELS_FILE_RELOADS.labels(_result)
for _result in ("complete", "cut_short"):
    REAPER_SWEEPS.labels(_result)
for _result in ("delivered", "refused", "unreachable", "given_up", "disabled"):
    WEBHOOK_ATTEMPTS.labels(_result)


PASSED_ON_SECONDS = _histogram(
    "p2p_router_request_seconds",
    "cell",
    "result",
    by=(ROUTER,),
    buckets=_REQUEST,
    meaning="Requests passed on to a cell, and how long until its answer began. result is a class of status, such as "
    "2xx; not_sent where nothing reached the cell; in_doubt where it did not answer; client_left.",
)
CELL_WORKS = _gauge(
    "p2p_router_cell_works",
    "cell",
    by=(ROUTER,),
    meaning="1 while a cell takes new work, as the router sees it, else 0.",
)
REQUESTS_OPEN = _gauge(
    "p2p_router_requests_open", by=(ROUTER,), meaning="Requests whose answers are not over, event streams included."
)
NAMES_HELD = _gauge(
    "p2p_router_names_held",
    by=(ROUTER,),
    meaning="Names of requests whose cells the router remembers: 200,000 at most.",
)


def begin_at_zero(process: str, model: str) -> None:
    """Show those counters of a model at 0 that alerts look at: Prometheus sees an increase only from what it has seen.

    Called again it changes nothing.
    """
    if process == REAPER:
        WORKERS_LOST.labels(model)
        MESSAGES_SENT_AGAIN.labels(model)
        JOBS_ENDED.labels(model, "expired", "")
        JOBS_ENDED.labels(model, "failed", "worker_lost")
    elif process == WORKER:
        ATTEMPTS.labels(model)
        GPU_SECONDS.labels(model)
        JOBS_ENDED.labels(model, "succeeded", "")
        JOBS_ENDED.labels(model, "failed", "moderation_failed")
        MODEL_LOADED.labels(model)
        MODEL_BYTES.labels(model)
        MODEL_LOADS.labels(model, "failed")


def model_loaded(model: str, size: int) -> None:
    """A worker has a model in memory, of so many bytes."""
    MODEL_LOADED.labels(model).set(1)
    MODEL_BYTES.labels(model).set(size)


def model_left(model: str) -> None:
    """A worker has a model in memory no more."""
    MODEL_LOADED.labels(model).set(0)
    MODEL_BYTES.labels(model).set(0)


def job_ended(model: str, status: str, code: str) -> None:
    """A job's end has just been written; `code` is that of a failure, or empty."""
    JOBS_ENDED.labels(model, status, code).inc()


def webhook_delivered(entry_id: str, now: float) -> None:
    """An entry of the outbox has been taken by its receiver.

    Args:
        entry_id: the stream's, which begins with the millisecond in which it was written.
        now: seconds since 1970.
    """
    WEBHOOK_ATTEMPTS.labels("delivered").inc()
    WEBHOOK_DELIVERY_SECONDS.observe(max(0.0, now - int(entry_id.split("-")[0]) / 1000))


def serve_metrics(process: str, host: str, port: int) -> None:
    """Show a process's metrics at http://host:port/metrics from a thread of its own; nothing if the port is 0.

    Raises:
        MetricsUnavailable: the port cannot be had, because another worker of this machine has it for one.
    """
    if not port:
        return
    try:
        start_http_server(port, host, REGISTRIES[process])
    except OSError as error:
        raise MetricsUnavailable(host, port, error.strerror) from error
    show_process(process)


def show_process(process: str) -> None:
    """Add this process's own memory, processor time and open files to its metrics."""
    ProcessCollector(registry=REGISTRIES[process])
