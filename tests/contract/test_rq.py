"""What of RQ is overridden or relied on has the shape it had in 3.0."""

import inspect
import subprocess
import sys
import zlib

import pytest
import redis
import rq
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty

from jobs.redis.message import FAILURE_TTL, MESSAGE_TIMEOUT, MESSAGE_TTL, RESULT_TTL, TASK, message_about
from worker.gpu_worker import CooperativeDeadline, GpuWorker


def test_it_is_the_rq_that_was_read():
    assert rq.VERSION.startswith("3.0")


@pytest.mark.parametrize(
    "name",
    [
        "request_stop",
        "dequeue_job_and_maintain_ttl",
        "subscribe",
        "prepare_execution",
        "cleanup_execution",
        "prepare_job_execution",
        "execute_job",
        "run_maintenance_tasks",
        "heartbeat",
        "check_for_suspension",
        "set_state",
        "handle_execution_ended",
        "handle_job_success",
        "handle_job_failure",
    ],
)
def test_an_overridden_method_takes_what_rqs_takes(name):
    ours, theirs = (inspect.signature(getattr(cls, name)) for cls in (GpuWorker, SimpleWorker))

    assert list(ours.parameters) == list(theirs.parameters)


def test_a_deadline_is_no_alarm():
    assert GpuWorker.death_penalty_class is CooperativeDeadline
    assert issubclass(CooperativeDeadline, BaseDeathPenalty)
    with CooperativeDeadline(1, TimeoutError):
        pass


def test_a_message_is_moved_not_popped_from_a_single_queue():
    assert "len(queue_keys) == 1" in inspect.getsource(Queue.dequeue_any)


def test_rq_looks_into_the_queue_that_stands_alone_in_its_order():
    """A worker of several models puts one of its queues there."""
    assert "self._ordered_queues," in inspect.getsource(SimpleWorker.dequeue_job_and_maintain_ttl)
    assert "self.prepare_job_execution(job, remove_from_intermediate_queue)" in inspect.getsource(
        SimpleWorker.perform_job
    )


def test_rq_is_asked_for_work_by_name():
    code = "import worker.tasks, jobs.redis.message as m; print(m.TASK, worker.tasks.run_edit.__name__)"

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert out.split() == ["worker.tasks.run_edit", "run_edit"]


def test_a_message_holds_what_rq_would_write():
    """The scripts write it beside the record, in the same turn of Redis."""
    ours = message_about("job", "tiny")
    fields = dict(zip(ours.fields[::2], ours.fields[1::2], strict=True))
    theirs = Queue("edits:tiny", connection=redis.Redis(), serializer=JSONSerializer).create_job(
        TASK, args=("job",), timeout=MESSAGE_TIMEOUT, ttl=MESSAGE_TTL, result_ttl=RESULT_TTL, failure_ttl=FAILURE_TTL
    )
    theirs.enqueued_at = theirs.created_at
    expected = {name: getattr(value, "value", value) for name, value in theirs.to_dict().items()}
    expected = {name: value for name, value in expected.items() if value != ""}

    # Unpacked: RQ reads it so as well, which every integration test relies on.
    assert fields.pop("data").encode() == zlib.decompress(expected.pop("data"))
    assert fields.keys() == expected.keys()
    own = {"created_at", "enqueued_at", "description", "status"}
    assert {name: fields[name] for name in fields.keys() - own} == {
        name: str(expected[name]) for name in expected.keys() - own
    }
    assert fields["status"] == "queued"
