"""How many workers KEDA has started: the chart's formula, worked out on what its triggers count in a real Redis.

The jobs are made, begun and ended by the service's own code. KEDA asks how many members a list or a sorted set has
(its redis scaler), works the formula out (the library `expr`; plain sums and products here), and hands the result to
Kubernetes' autoscaler, whose rule is `hpa_wants`.
"""

import ast
import math
import operator
from collections.abc import Mapping
from datetime import timedelta

import pytest
import redis

from jobs import moves
from jobs.model import Job, JobError, new_job
from jobs.redis.message import list_of
from jobs.redis.store import RedisJobStore
from tests.chart import EVERYTHING, TRY_OUT, Manifest, manifests, merged, of_kind
from tests.edits import CAT_TO_DOG

LEASE = timedelta(minutes=10)
#: The autoscaler leaves a number as it is that is so near to the wanted one: `--horizontal-pod-autoscaler-tolerance`.
TOLERANCE = 0.1


def scaled(model: str = "scenes", **autoscaling: object) -> Manifest:
    """The ScaledObject of workers of one model."""
    worker = {"name": "some", "models": [model], "autoscaling": {"enabled": True, "max": 1000, **autoscaling}}
    (found,) = of_kind(manifests(merged({"workers": [worker]}, TRY_OUT)), "ScaledObject")
    return found["spec"]


def count(client: redis.Redis, key: str) -> int:
    """What KEDA's redis scaler reports of a key."""
    sizes = {"none": lambda _: 0, "list": client.llen, "zset": client.zcard}
    return sizes[client.type(key)](key)


def counts(client: redis.Redis, spec: Manifest) -> dict[str, int]:
    """What each trigger counts, by its name."""
    return {trigger["name"]: count(client, trigger["metadata"]["listName"]) for trigger in spec["triggers"]}


def value_of(formula: str, known: Mapping[str, int]) -> int:
    """A formula of names, whole numbers, + and *; anything else is refused, for expr may read it otherwise."""
    operators = {ast.Add: operator.add, ast.Mult: operator.mul}

    def value(node: ast.expr) -> int:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return operators[type(op)](value(left), value(right))
            case ast.Name(id=name):
                return known[name]
            case ast.Constant(value=int(number)):
                return number
        raise ValueError(f"{ast.unparse(node)} is no sum of what is counted")

    return value(ast.parse(formula, mode="eval").body)


def hpa_wants(metric: float, target: float, present: int) -> int:
    """Kubernetes' rule for a metric with a target of an average for each pod."""
    if present and abs(1 - metric / (target * present)) <= TOLERANCE:
        return present
    return math.ceil(metric / target)


def wanted(spec: Manifest, known: Mapping[str, int], present: int) -> int:
    """How many workers there are to be; with none, KEDA starts the first one itself."""
    modifiers = spec["advanced"]["scalingModifiers"]
    metric = value_of(modifiers["formula"], known)
    if metric <= int(modifiers["activationTarget"]):
        return spec["minReplicaCount"]
    number = hpa_wants(metric, int(modifiers["target"]), present)
    return min(max(number, spec["minReplicaCount"], 1), spec["maxReplicaCount"])


def wanted_by_the_larger(spec: Manifest, known: Mapping[str, int], present: int) -> int:
    """The same without the formula: each metric proposes a number, and the autoscaler takes the largest."""
    return max(
        hpa_wants(known[each["name"]], int(each["metadata"]["listLength"]), present) for each in spec["triggers"]
    )


@pytest.fixture
def store(redis_client) -> RedisJobStore:
    redis_client.flushdb()
    return RedisJobStore(redis_client)


def posted(store: RedisJobStore, number: int, model: str = "scenes") -> list[Job]:
    spec = CAT_TO_DOG.model_copy(update={"model": model})
    jobs = [new_job(spec, lifetime=timedelta(hours=1), queue_limit=timedelta(hours=2)) for _ in range(number)]
    for job in jobs:
        store.create(job)
    return jobs


def begun(store: RedisJobStore, job: Job) -> Job:
    return store.make(moves.begin(store.get(job.id), "a worker", LEASE))


def standing(store: RedisJobStore, waiting: int, running: int, model: str = "scenes") -> None:
    """Has so many jobs of a model wait and so many run."""
    for job in posted(store, waiting + running, model)[:running]:
        begun(store, job)


#: Jobs waiting and running, and the workers that there are to be: with a worker for each job; with two to spare; with
#: four jobs for each worker and one to spare.
RECORDED = [
    (0, 0, 0, 0, 0),
    (1, 0, 1, 3, 2),
    (0, 1, 1, 3, 2),
    (3, 3, 6, 8, 3),
    (8, 8, 16, 18, 5),
    (0, 8, 8, 10, 3),
    (12, 1, 13, 15, 5),
    (1, 12, 13, 15, 5),
    (20, 20, 40, 42, 11),
]


@pytest.mark.parametrize(("waiting", "running", "each_one", "two_to_spare", "four_each"), RECORDED)
def test_there_is_a_worker_for_each_job_that_waits_or_runs(
    store, redis_client, waiting, running, each_one, two_to_spare, four_each
):
    standing(store, waiting, running)
    for expected, autoscaling in (
        (each_one, {}),
        (two_to_spare, {"buffer": 2}),
        (four_each, {"buffer": 1, "jobsPerWorker": 4}),
    ):
        spec = scaled(**autoscaling)
        known = counts(redis_client, spec)
        assert known == {"waiting": waiting, "running": running}
        assert wanted(spec, known, 0) == expected, autoscaling


#: Where fewer than a tenth more wait, the autoscaler changes nothing by either rule.
MORE = [row[:2] for row in RECORDED if row[1] and row[0] > row[1] * TOLERANCE]


@pytest.mark.parametrize(("waiting", "running"), MORE)
def test_two_triggers_that_are_not_added_leave_jobs_waiting(store, redis_client, waiting, running):
    """The rule before: on the same numbers it has fewer workers than there are jobs, for ever."""
    standing(store, waiting, running)
    spec = scaled()
    known = counts(redis_client, spec)

    # As many workers as jobs run, which each has one.
    assert wanted_by_the_larger(spec, known, running) < waiting + running
    assert wanted(spec, known, running) == waiting + running
    if waiting <= running:
        assert wanted_by_the_larger(spec, known, running) == running, "not one worker more"


@pytest.mark.parametrize(
    ("running", "waiting", "present", "expected"),
    [
        (50, 4, 50, 50),
        (50, 6, 50, 56),
        (12, 1, 12, 12),
        (10, 2, 10, 12),
        (1, 1, 1, 2),
        (46, 0, 50, 50),
        (44, 0, 50, 44),
    ],
)
def test_within_a_tenth_the_autoscaler_changes_nothing(running, waiting, present, expected):
    assert wanted(scaled(), {"waiting": waiting, "running": running}, present) == expected


def test_a_job_counts_until_it_has_ended_and_once(store, redis_client):
    spec = scaled()

    def known() -> tuple[int, int]:
        found = counts(redis_client, spec)
        return found["waiting"], found["running"]

    first, second, third, fourth = posted(store, 4)
    assert known() == (4, 0)
    running = begun(store, first)
    assert known() == (3, 1)
    store.make(moves.hand_back(running))
    assert known() == (4, 0)
    running = begun(store, first)
    store.make(moves.finish(running, ()))
    assert known() == (3, 0)
    store.make(moves.fail(begun(store, second), JobError(code="x", message="y")))
    store.make(moves.cancel(store.get(third.id)))
    assert known() == (1, 0)
    store.make(moves.expire(store.get(fourth.id)))
    assert known() == (0, 0)
    assert wanted(spec, counts(redis_client, spec), 1) == 0


def test_a_job_whose_message_a_worker_has_just_taken_still_counts(store, redis_client):
    """RQ's list would say that there is none between the two: the last worker would go from under its job."""
    (job,) = posted(store, 1)
    redis_client.lpop(list_of("scenes"))

    assert count(redis_client, list_of("scenes")) == 0
    assert counts(redis_client, scaled()) == {"waiting": 1, "running": 0}
    assert store.get(job.id).status == "queued"


def test_jobs_of_other_models_start_no_worker(store, redis_client):
    standing(store, 5, 2, "another")

    assert counts(redis_client, scaled()) == {"waiting": 0, "running": 0}
    assert counts(redis_client, scaled("another")) == {"waiting": 5, "running": 2}


def test_workers_of_several_models_are_counted_over_all_of_them(store, redis_client):
    (spec,) = (
        each["spec"]
        for each in of_kind(manifests(EVERYTHING), "ScaledObject")
        if each["metadata"]["name"].endswith("painter")
    )
    standing(store, 5, 3, "painter")
    standing(store, 4, 8, "sd-1.5")
    known = counts(redis_client, spec)

    assert sorted(known.values()) == [3, 4, 5, 8]
    # 20 jobs, four for each worker, and two workers to spare.
    assert wanted(spec, known, 0) == 7


def test_a_buffer_keeps_no_worker_where_there_is_no_job(store, redis_client):
    spec = scaled(buffer=3, jobsPerWorker=2)

    assert wanted(spec, counts(redis_client, spec), 3) == 0
    posted(store, 1)
    assert wanted(spec, counts(redis_client, spec), 0) == 4


def test_no_more_workers_are_wanted_than_may_be_and_no_fewer():
    spec = scaled(max=4, min=2)

    assert wanted(spec, {"waiting": 90, "running": 4}, 4) == 4
    assert wanted(spec, {"waiting": 0, "running": 0}, 4) == 2


def test_a_redis_that_does_not_answer_takes_no_worker_away():
    assert scaled(fallbackReplicas=2)["fallback"] == {
        "failureThreshold": 3,
        "replicas": 2,
        "behavior": "currentReplicasIfHigher",
    }


def test_a_worker_goes_slowly_and_comes_at_once():
    behavior = scaled()["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]

    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 60
    assert {policy["periodSeconds"] for policy in behavior["scaleDown"]["policies"]} == {60}


# How KEDA asks


def test_keda_asks_the_try_out_redis_by_its_password():
    made = manifests(TRY_OUT)
    (login,), (spec,) = of_kind(made, "TriggerAuthentication"), of_kind(made, "ScaledObject")
    (service,) = (each for each in of_kind(made, "Service") if each["metadata"]["name"].endswith("-redis"))

    assert login["spec"]["secretTargetRef"] == [{"parameter": "password", "name": "p2p-edit-redis", "key": "password"}]
    for trigger in spec["spec"]["triggers"]:
        assert trigger["authenticationRef"] == {"name": login["metadata"]["name"]}
        # KEDA runs in a namespace of its own.
        assert trigger["metadata"]["address"] == f"{service['metadata']['name']}.pictures.svc:6379"


def test_keda_asks_sentinels_for_the_primary_over_tls():
    made = manifests(EVERYTHING)
    (login,) = of_kind(made, "TriggerAuthentication")
    (spec, _) = of_kind(made, "ScaledObject")

    assert {each["parameter"]: (each["name"], each["key"]) for each in login["spec"]["secretTargetRef"]} == {
        "password": ("redis-login", "password"),
        "username": ("redis-login", "user"),
        "sentinelUsername": ("redis-login", "watcher"),
        "sentinelPassword": ("redis-login", "watchword"),
        "ca": ("p2p-edit", "ca.crt"),
    }
    for trigger in spec["spec"]["triggers"]:
        asked = trigger["metadata"]
        assert trigger["type"] == "redis-sentinel"
        assert (asked["addresses"], asked["sentinelMaster"]) == ("s1:26379,s2:26379", "mymaster")
        assert (asked["databaseIndex"], asked["enableTLS"]) == ("3", "true")


def test_a_redis_without_a_password_is_asked_without_one():
    values = {"redis": {"tryOut": {"enabled": False}, "address": "redis.example.com:6380"}}
    made = manifests(merged(values, TRY_OUT))
    (spec,) = of_kind(made, "ScaledObject")

    assert of_kind(made, "TriggerAuthentication", "StatefulSet") == []
    for trigger in spec["spec"]["triggers"]:
        assert (trigger["type"], trigger["metadata"]["address"]) == ("redis", "redis.example.com:6380")
        assert "authenticationRef" not in trigger


@pytest.mark.parametrize(
    "formula", ["max(waiting, running)", "waiting - running", "waiting > 1", "others", "waiting / 2"]
)
def test_a_formula_that_is_no_sum_is_not_worked_out_here(formula):
    with pytest.raises((ValueError, KeyError)):
        value_of(formula, {"waiting": 2, "running": 1})
