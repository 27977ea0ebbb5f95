"""The chart's values: what cannot be is refused with its name."""

import re
from typing import get_args

import pytest

from jobs.catalogue import load_catalogue
from p2p.spec import ModelName
from tests.chart import (
    CHART,
    EVERYTHING,
    NAMESPACE,
    RELEASE,
    ROOT,
    SCHEMA,
    Refused,
    deployment,
    helm_python,
    made,
    merged,
    of_kind,
    only_container,
    pod_of,
    texts,
    variables,
)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 3}, "replicas"),
        ({"api": {"replicas": 0}}, "api.replicas"),
        ({"api": {"replicas": "two"}}, "api.replicas"),
        ({"image": {"service": {"tag": "latest"}}}, "image.service.tag"),
        ({"image": {"worker": {"digest": "sha256:abc"}}}, "image.worker.digest"),
        ({"redis": {"tryOut": {"image": "valkey/valkey:latest"}}}, "redis.tryOut.image"),
        ({"redis": {"tryOut": {"image": "valkey/valkey"}}}, "redis.tryOut.image"),
        ({"redis": {"address": "redis://redis:6379"}}, "redis.address"),
        ({"redis": {"database": "0"}}, "redis.database"),
        ({"secret": {"name": ""}}, "secret.name"),
        ({"settings": {"LEASE": 10}}, "settings.LEASE"),
        ({"settings": {"lease": "10"}}, "lease"),
        ({"settings": {"REDIS_URL": "redis://:password@redis"}}, "REDIS_URL"),
        ({"settings": {"GRACE": "30"}}, "GRACE"),
        ({"api": {"settings": {"HOST": "127.0.0.1"}}}, "HOST"),
        ({"workerDefaults": {"settings": {"POD_NAME": "x"}}}, "POD_NAME"),
        ({"workers": [{"name": "scenes"}]}, "workers.0"),
        ({"workers": [{"name": "Scenes", "models": ["scenes"]}]}, "workers.0.name"),
        ({"workers": [{"name": "a", "models": []}]}, "workers.0.models"),
        ({"workers": [{"name": "a", "models": ["b", "b"]}]}, "workers.0.models"),
        ({"workers": [{"name": "a", "models": ["b"], "gpus": 1}]}, "gpus"),
        ({"workers": [{"name": "a", "models": ["b"]}, {"name": "a", "models": ["c"]}]}, '"a" is given twice'),
        ({"workers": [{"name": "a", "models": ["b"], "autoscaling": {"enabled": True}}]}, "redis.address"),
        (
            {
                "redis": {"address": "redis:6379"},
                "workers": [{"name": "a", "models": ["b"], "autoscaling": {"enabled": True, "min": 9}}],
            },
            "workers a: autoscaling.min",
        ),
        (
            {
                "redis": {"address": "redis:6379"},
                "workers": [
                    {"name": "a", "models": ["x"], "autoscaling": {"enabled": True}},
                    {"name": "b", "models": ["y", "x"], "autoscaling": {"enabled": True}},
                ],
            },
            "both a and b are scaled by the jobs of the model x",
        ),
        (
            {
                "redis": {"sentinel": {"master": "mymaster"}},
                "workers": [{"name": "a", "models": ["b"], "autoscaling": {"enabled": True}}],
            },
            "redis.sentinel.addresses",
        ),
        ({"ingress": {"enabled": True}}, "ingress.host"),
        ({"ingress": {"enabled": True, "host": "a.example", "paths": [], "root": False}}, "ingress.paths"),
        ({"nameOverride": "1st"}, "nameOverride"),
        ({"labels": {"app.kubernetes.io/name": "mine"}}, "app.kubernetes.io/name"),
        ({"monitoring": {"podMonitor": {"labels": {"helm.sh/chart": "mine"}}}}, "helm.sh/chart"),
        ({"nameOverride": "-a"}, "nameOverride"),
        ({"workerDefaults": {"autoscaling": {"behavior": {"scaleUp": {"policies": []}}}}}, "policies"),
        ({"ingress": {"paths": ["v1"]}}, "ingress.paths.0"),
        ({"publicUrl": "edits.example.com"}, "publicUrl"),
        ({"podSecurityContext": []}, "podSecurityContext"),
    ],
)
def test_values_that_cannot_be_are_refused_with_their_name(values, said):
    with pytest.raises(Refused, match=re.escape(said)):
        texts(values)
    if helm_python is not None:
        # It writes a place as /workers/0/name, and no more than the name of one that is not known.
        part = "|".join({re.escape(said), re.escape(said.replace(".", "/")), re.escape(said.rpartition(".")[2])})
        with helm_python.Chart.load(str(CHART)) as chart, pytest.raises(helm_python.HelmError, match=part):
            chart.render(values, name=RELEASE, namespace=NAMESPACE)


def test_every_model_that_the_service_can_have_may_be_named():
    (pattern,) = (each.pattern for each in get_args(ModelName)[1:])

    assert SCHEMA["definitions"]["worker"]["properties"]["models"]["items"]["pattern"] == pattern


def test_every_value_has_a_comment_or_stands_below_one():
    """A reader of values.yaml finds what each section is for."""
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"[a-z]\w*:", line) and not before.startswith("#") and line.partition(":")[0] not in SELF_EVIDENT
    ]

    assert bare == []


#: Whose own first line, or whose name, says it.
SELF_EVIDENT = {
    "api",
    "ingress",
    "disruptionBudgets",
    "workerDefaults",
    "monitoring",
    "containerSecurityContext",
    "nameOverride",
}


def test_the_models_that_are_served_by_default_are_declared():
    catalogue = load_catalogue(ROOT / "models.toml")

    assert {model for worker in merged({})["workers"] for model in worker["models"]} <= set(catalogue)


def test_a_models_file_is_read_by_the_api_and_the_workers_and_starts_the_workers_anew():
    (config,) = of_kind(made("everything"), "ConfigMap")
    assert config["data"]["models.toml"] == EVERYTHING["modelsFile"]

    def noted(text: str) -> str:
        return pod_of(deployment({"modelsFile": text}, "scenes"))["metadata"]["annotations"]["p2p-edit/models-file"]

    assert noted("a") != noted("b")
    for part in ("-api", "-scenes"):
        container = only_container(deployment(EVERYTHING, part))
        assert variables(container)["MODELS_FILE"] == "/config/models.toml"
    assert "MODELS_FILE" not in variables(only_container(deployment(EVERYTHING, "-outbox")))
