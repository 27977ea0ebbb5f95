"""Who may connect to the chart's pods, and who finds them."""

import pytest

from service.app import create_app
from service.settings import Settings
from tests.chart import GIVEN, made, manifests, of_kind, only_container, pod_of, variables


def test_metrics_and_redis_are_closed_to_others():
    policies = {each["metadata"]["name"].removeprefix("edits-p2p-edit-"): each["spec"]
                for each in of_kind(manifests({"redis": {"tryOut": {"enabled": True}}}), "NetworkPolicy")}  # fmt: skip

    assert policies["behind"]["ingress"] == []
    assert policies["api"]["ingress"] == [{"ports": [{"port": "http"}]}]
    (rule,) = policies["redis"]["ingress"]
    pods, keda = rule["from"]
    assert keda == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}
    assert pods["podSelector"]["matchExpressions"][0]["values"] == ["api", "reaper", "outbox", "worker", "first-key"]


def test_prometheus_finds_each_process_by_its_pods_annotations():
    for each in of_kind(made("defaults"), "Deployment"):
        container = only_container(each)
        (port,) = (port["containerPort"] for port in container["ports"])
        noted = pod_of(each)["metadata"]["annotations"]
        assert noted == {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
        assert variables(container)["PORT" if container["name"] == "api" else "METRICS_PORT"] == str(port)


@pytest.mark.parametrize("values", GIVEN)
def test_every_port_that_is_named_is_one_of_the_pods_that_are_chosen(values):
    ports = {
        port["name"]
        for each in of_kind(made(values), "Deployment", "StatefulSet")
        for port in only_container(each)["ports"]
    }
    named = {
        port["port"]
        for each in of_kind(made(values), "NetworkPolicy")
        for rule in each["spec"]["ingress"]
        for port in rule["ports"]
    }
    named |= {
        each["port"]
        for monitor in of_kind(made(values), "PodMonitor")
        for each in monitor["spec"]["podMetricsEndpoints"]
    }

    assert named <= ports <= {"http", "metrics", "redis"}


def test_the_ingress_leads_to_every_page_and_to_no_probe():
    (ingress,) = of_kind(made("everything"), "Ingress")
    (rule,) = ingress["spec"]["rules"]
    paths = [(each["path"], each["pathType"]) for each in rule["http"]["paths"]]
    routes = set(create_app(Settings()).openapi()["paths"])

    def is_reached(route: str) -> bool:
        return any(route == path or (kind == "Prefix" and route.startswith(f"{path}/")) for path, kind in paths)

    assert {route for route in routes if not is_reached(route)} == {"/livez", "/readyz", "/metrics"} & routes
    assert is_reached("/")
    assert not is_reached("/metrics")
    assert ingress["spec"]["tls"] == [{"hosts": ["edits.example.com"], "secretName": "tls"}]
