"""The chart's pods: confined, probed, given time to end, and started with what there is."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.storage import PATIENCE as STORING
from p2p.version import VERSION
from process.metrics import WORKER, begin_at_zero, model_left, model_loaded, serve_metrics
from process.settings import SECRETS_DIR
from service.app import create_app
from service.settings import Settings
from stack.ports import free_port
from stack.services import commands
from tests.chart import NAMESPACE, PROGRAMS, cases, deployment, made, of_kind, only_container, pod_of, variables
from tests.contract.test_deployment import FIRST_KEY
from tools.settings_table import READERS

#: Variables that libraries read, and no settings class.
OTHERS = {SECRETS_DIR, "HF_HOME", "OMP_NUM_THREADS"}


def test_every_process_runs_the_command_that_the_tests_start():
    started = {
        tuple(command[1:]) for _, command in commands(dict.fromkeys(("scenes", "scenes-tokens", "scenes-flow"), 1))
    }

    assert {tuple(only_container(each)["command"][1:]) for each in of_kind(made("defaults"), "Deployment")} == started
    (job,) = of_kind(made("defaults"), "Job")
    assert tuple(only_container(job)["command"][1:]) == FIRST_KEY


@pytest.mark.parametrize("manifest", cases("Deployment", "Job"))
def test_every_variable_is_a_setting_of_a_program(manifest):
    container = only_container(manifest)
    known = {name.upper() for settings in READERS.values() for name in settings.model_fields}

    assert set(variables(container)) <= known | OTHERS
    assert "envFrom" not in container


@pytest.mark.parametrize("manifest", cases("Deployment"))
def test_every_program_takes_its_variables(manifest, monkeypatch):
    container = only_container(manifest)
    for name, value in variables(container).items():
        monkeypatch.setenv(name, value)
    settings = READERS[PROGRAMS[container["name"]]]()

    assert (settings.host if container["name"] == "api" else settings.metrics_host) == "0.0.0.0"


def test_a_setting_of_one_part_goes_before_that_of_all():
    values = {"settings": {"LEASE": "20", "LOG_FORMAT": "json"}, "workerDefaults": {"settings": {"LEASE": "15"}}}

    assert (
        variables(only_container(deployment(values, "scenes"))).items() >= {"LEASE": "15", "LOG_FORMAT": "json"}.items()
    )
    assert variables(only_container(deployment(values, "reaper")))["LEASE"] == "20"


@pytest.mark.parametrize("manifest", cases("Deployment", "StatefulSet", "Job"))
def test_no_image_is_the_latest_of_anything(manifest):
    assert re.search(r":(?!latest$)[\w.-]+$|@sha256:[0-9a-f]{64}$", only_container(manifest)["image"])


def test_images_come_from_the_registry_by_digest_or_tag():
    images = {only_container(each)["image"] for each in of_kind(made("everything"), "Deployment")}

    assert images == {
        f"registry.example.com/team/p2p-edit-service@sha256:{'a' * 64}",
        f"registry.example.com/team/p2p-edit-worker:{VERSION}",
        f"registry.example.com/team/p2p-edit-worker-gpu:{VERSION}",
    }


@pytest.mark.parametrize("manifest", cases("Deployment", "StatefulSet", "Job"))
def test_every_pod_keeps_to_kubernetes_level_restricted(manifest):
    pod = pod_of(manifest)["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    # OpenShift says itself which user, one that is not root.
    assert pod["securityContext"].get("runAsUser", 1) > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= {
        "emptyDir", "projected", "secret", "configMap", "persistentVolumeClaim"
    }  # fmt: skip


@pytest.mark.parametrize("manifest", cases("Deployment", "StatefulSet", "Job"))
def test_every_container_mounts_what_its_pod_has_and_can_write_to_tmp(manifest):
    pod, container = pod_of(manifest)["spec"], only_container(manifest)
    claimed = [each["metadata"]["name"] for each in manifest["spec"].get("volumeClaimTemplates", ())]

    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]} | set(
        claimed
    )
    writable = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable <= {"/tmp", "/data", "/models"}
    home = {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}.get("HF_HOME", "/tmp")
    assert any(Path(home).is_relative_to(place) for place in writable) or "/data" in writable


@pytest.mark.parametrize("manifest", cases("Deployment", "StatefulSet", "Job"))
def test_every_container_says_what_it_needs_and_the_most_it_may_take(manifest):
    resources = only_container(manifest)["resources"]

    assert set(resources["requests"]) == {"cpu", "memory"}
    assert "memory" in resources["limits"]


@pytest.mark.parametrize("manifest", cases("Deployment", "StatefulSet", "Job"))
def test_no_pod_has_a_token_but_a_worker_that_writes_its_cost(manifest):
    pod = pod_of(manifest)["spec"]
    writes = any(each["name"] == "POD_NAME" for each in pod["containers"][0].get("env", ()))

    assert pod["automountServiceAccountToken"] is writes
    assert ("serviceAccountName" in pod) is writes


def test_that_token_may_patch_pods_and_nothing_else():
    (account,), (role,), (binding,) = (
        of_kind(made("defaults"), kind) for kind in ("ServiceAccount", "Role", "RoleBinding")
    )
    worker, *_ = (each for each in of_kind(made("defaults"), "Deployment") if "worker" in each["metadata"]["name"])

    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}]
    assert pod_of(worker)["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": NAMESPACE}
    ]
    assert of_kind(made("try out"), "Role", "RoleBinding", "ServiceAccount") == []


@pytest.mark.parametrize("manifest", cases("Deployment", "StatefulSet"))
def test_every_process_is_probed_in_all_three_ways(manifest):
    container = only_container(manifest)
    ports = {port["name"] for port in container["ports"]}
    routes = set(create_app(Settings()).openapi()["paths"]) | {"/metrics"}

    for probe in (container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")):
        assert "exec" in probe or probe.get("httpGet", probe.get("tcpSocket"))["port"] in ports
        assert probe.get("httpGet", {"path": "/metrics"})["path"] in routes
    # One second, which is Kubernetes' own, is tight for a busy process.
    if container["name"] != "redis":
        assert all(container[f"{kind}Probe"]["timeoutSeconds"] >= 5 for kind in ("startup", "readiness", "liveness"))


def test_a_storage_that_fails_takes_no_api_out_of_the_service():
    container = only_container(deployment({}, "-api"))

    assert container["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert container["readinessProbe"]["httpGet"]["path"] == container["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_a_worker_is_ready_once_its_model_is_in_memory():
    """The probe's own command, at the metrics of a worker."""
    port = free_port()
    *command, script = only_container(deployment({}, "scenes"))["startupProbe"]["exec"]["command"]
    begin_at_zero(WORKER, "scenes")
    serve_metrics(WORKER, "127.0.0.1", port)

    def is_ready() -> bool:
        asked = [sys.executable, *command[1:], script.replace(":9100", f":{port}")]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    model_left("scenes")
    assert not is_ready()
    model_loaded("scenes", 1)
    assert is_ready()
    model_left("scenes")


@pytest.mark.parametrize("grace", [1, 120, 3600])
def test_a_worker_is_given_longer_to_end_than_its_grace_and_storing_take(grace):
    manifest = deployment({"workerDefaults": {"grace": grace}}, "scenes")
    seconds = pod_of(manifest)["spec"]["terminationGracePeriodSeconds"]

    assert float(variables(only_container(manifest))["GRACE"]) == grace
    assert timedelta(seconds=seconds) > timedelta(seconds=grace) + STORING


def test_an_api_ends_after_the_balancers_know_and_the_longest_wait_is_answered():
    pod = pod_of(deployment({}, "-api"))["spec"]
    (sleep, seconds) = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]

    assert (sleep, int(seconds) > 0) == ("sleep", True)
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + 60


def test_a_worker_on_a_gpu_is_replaced_without_a_second_gpu():
    for values, surge in (({"workerDefaults": {"gpu": 2}}, 0), ({}, 1)):
        manifest = deployment(values, "scenes")
        limits = only_container(manifest)["resources"]["limits"]
        assert manifest["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": surge, "maxUnavailable": 1}
        assert limits.get("nvidia.com/gpu", 0) == (0 if surge else 2)
        assert variables(only_container(manifest))["DEVICE"] == ("cpu" if surge else "cuda")


@pytest.mark.parametrize("part", ["-api", "-reaper", "-outbox", "-scenes"])
def test_every_part_is_spread_and_lets_nodes_be_drained(part):
    manifest = deployment({}, part)
    chosen = manifest["spec"]["selector"]["matchLabels"]
    budgets = [
        each for each in of_kind(made("defaults"), "PodDisruptionBudget") if each["metadata"]["name"].endswith(part)
    ]

    for each in pod_of(manifest)["spec"]["topologySpreadConstraints"]:
        assert each["labelSelector"]["matchLabels"] == chosen
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"
    (budget,) = budgets
    assert budget["spec"]["selector"]["matchLabels"] == chosen
    assert budget["spec"]["maxUnavailable"] == 1
