"""The Helm chart: what it makes is valid, confined, and names what there is; what it cannot make it refuses."""

import re
import subprocess
import sys
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import get_args

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator

from jobs.catalogue import load_catalogue
from jobs.storage import PATIENCE as STORING
from p2p.spec import ModelName
from p2p.version import VERSION
from process.metrics import WORKER, begin_at_zero, model_left, model_loaded, serve_metrics
from process.settings import SECRETS_DIR, settings_or_exit
from service.app import create_app
from service.settings import Settings
from stack.ports import free_port
from stack.services import commands
from tests.chart import (
    CHART,
    EVERYTHING,
    GIVEN,
    NAMESPACE,
    RELEASE,
    SCHEMA,
    TRY_OUT,
    Manifest,
    Refused,
    manifests,
    merged,
    of_kind,
    pod_of,
    texts,
)
from tests.contract.test_deployment import FIRST_KEY
from tools.settings_table import READERS

try:
    import helm_python
except ImportError:
    helm_python = None

ROOT = Path(__file__).parents[2]
README = (CHART / "README.md").read_text(encoding="utf-8")
#: Of Kubernetes: the oldest that the chart says it runs on, one between, and the newest whose schemas there are.
VERSIONS = ("1.27", "1.32", "1.37")
CUSTOM = {
    kind: schema
    for file in sorted((ROOT / "tests" / "custom_resources").glob("*.yaml"))
    for kind, schema in yaml.safe_load(file.read_text(encoding="utf-8")).items()
}
MADE = {name: manifests(values) for name, values in GIVEN.items()}
EVERY = [pytest.param(each, id=f"{name}: {each['kind']} {each['metadata']['name']}")
         for name, made in MADE.items() for each in made]  # fmt: skip
WITH_PODS = [each for each in EVERY if each.values[0]["kind"] in {"Deployment", "StatefulSet", "Job"}]
OURS = [each for each in WITH_PODS if each.values[0]["kind"] != "StatefulSet"]
#: Variables that libraries read, and no settings class.
OTHERS = {SECRETS_DIR, "HF_HOME", "OMP_NUM_THREADS"}
#: Which program each container is, by its name.
PROGRAMS = {"api": "API", "worker": "worker", "reaper": "reaper", "outbox": "outbox"}


def variables(container: Manifest) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container["env"]}


def only_container(manifest: Manifest) -> Manifest:
    (container,) = pod_of(manifest)["spec"]["containers"]
    return container


def deployment(values: dict, part: str) -> Manifest:
    (found,) = (each for each in of_kind(manifests(values), "Deployment") if each["metadata"]["name"].endswith(part))
    return found


# What is made


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", GIVEN)
def test_kubernetes_knows_every_field(values, version):
    for each in MADE[values]:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("values", GIVEN)
def test_keda_and_prometheus_know_every_field(values):
    for each in of_kind(MADE[values], *CUSTOM):
        Draft7Validator(CUSTOM[each["kind"]]).validate(each["spec"])


def test_the_validators_find_what_is_wrong():
    (scaled,) = of_kind(MADE["try out"], "ScaledObject")
    with pytest.raises(Exception, match="formulas"):
        Draft7Validator(CUSTOM["ScaledObject"]).validate(scaled["spec"] | {"formulas": ""})
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(MADE["defaults"][0] | {"specs": {}}, VERSIONS[0], strict=True)


@pytest.mark.parametrize("values", GIVEN)
def test_helm_itself_makes_the_same(values):
    if helm_python is None:
        pytest.skip("Helm is not here: pip install helm-python-sdk==0.2.2")
    with helm_python.Chart.load(str(CHART)) as chart:
        files = chart.render(GIVEN[values], name=RELEASE, namespace=NAMESPACE)
    made = [
        each for name, text in files.items() if not name.endswith(".txt") for each in yaml.safe_load_all(text) if each
    ]

    def order(each: Manifest) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    assert sorted(made, key=order) == sorted(MADE[values], key=order)
    assert helm_python.lint(str(CHART))["errors"] == []


@pytest.mark.parametrize("values", GIVEN)
def test_no_two_objects_have_one_name_and_every_name_is_short_enough(values):
    names = [(each["kind"], each["metadata"]["name"]) for each in MADE[values]]

    assert len(names) == len(set(names))
    longest = {
        "nameOverride": "n" * 63,
        "workers": [{"name": "w" * 20, "models": ["m"], "autoscaling": {"enabled": True}}],
    }
    for each in manifests(merged(longest, TRY_OUT)):
        # KEDA names its autoscaler keda-hpa-NAME; a StatefulSet's pods get a number.
        assert len(each["metadata"]["name"]) <= (54 if each["kind"] == "ScaledObject" else 60)


@pytest.mark.parametrize("manifest", EVERY)
def test_every_object_has_the_usual_labels(manifest):
    labels = manifest["metadata"]["labels"]

    assert {
        f"app.kubernetes.io/{name}" for name in ("name", "instance", "component", "version", "part-of", "managed-by")
    } <= set(labels)
    assert labels["helm.sh/chart"] == f"p2p-edit-{VERSION}"


@pytest.mark.parametrize("values", GIVEN)
def test_every_choice_of_pods_chooses_pods_that_there_are(values):
    pods = [pod_of(each)["metadata"]["labels"] for each in of_kind(MADE[values], "Deployment", "StatefulSet", "Job")]

    def chosen(labels: dict, expressions: list) -> list:
        wanted = [(each["key"], each["values"]) for each in expressions]
        return [
            pod
            for pod in pods
            if labels.items() <= pod.items() and all(pod.get(key) in values for key, values in wanted)
        ]

    for each in MADE[values]:
        spec = each.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector")
        if selector:
            found = selector if each["kind"] == "Service" else selector.get("matchLabels", {})
            number = len(chosen(found, [] if each["kind"] == "Service" else selector.get("matchExpressions", [])))
            assert number == 1 or each["metadata"]["name"].endswith("-behind"), each["metadata"]["name"]
            assert number >= 1


# What runs


def test_every_process_runs_the_command_that_the_tests_start():
    started = {tuple(command[1:]) for _, command in commands({"scenes": 1})}

    assert {tuple(only_container(each)["command"][1:]) for each in of_kind(MADE["defaults"], "Deployment")} == started
    (job,) = of_kind(MADE["defaults"], "Job")
    assert tuple(only_container(job)["command"][1:]) == FIRST_KEY


@pytest.mark.parametrize("manifest", OURS)
def test_every_variable_is_a_setting_of_a_program(manifest):
    container = only_container(manifest)
    known = {name.upper() for settings in READERS.values() for name in settings.model_fields}

    assert set(variables(container)) <= known | OTHERS
    assert "envFrom" not in container


@pytest.mark.parametrize("manifest", [each for each in OURS if each.values[0]["kind"] == "Deployment"])
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


@pytest.mark.parametrize("manifest", WITH_PODS)
def test_no_image_is_the_latest_of_anything(manifest):
    assert re.search(r":(?!latest$)[\w.-]+$|@sha256:[0-9a-f]{64}$", only_container(manifest)["image"])


def test_images_come_from_the_registry_by_digest_or_tag():
    images = {only_container(each)["image"] for each in of_kind(MADE["everything"], "Deployment")}

    assert images == {
        f"registry.example.com/team/p2p-edit-service@sha256:{'a' * 64}",
        f"registry.example.com/team/p2p-edit-worker:{VERSION}",
        f"registry.example.com/team/p2p-edit-worker-gpu:{VERSION}",
    }


@pytest.mark.parametrize("manifest", WITH_PODS)
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


@pytest.mark.parametrize("manifest", WITH_PODS)
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


@pytest.mark.parametrize("manifest", WITH_PODS)
def test_every_container_says_what_it_needs_and_the_most_it_may_take(manifest):
    resources = only_container(manifest)["resources"]

    assert set(resources["requests"]) == {"cpu", "memory"}
    assert "memory" in resources["limits"]


@pytest.mark.parametrize("manifest", WITH_PODS)
def test_no_pod_has_a_token_but_a_worker_that_writes_its_cost(manifest):
    pod = pod_of(manifest)["spec"]
    writes = any(each["name"] == "POD_NAME" for each in pod["containers"][0].get("env", ()))

    assert pod["automountServiceAccountToken"] is writes
    assert ("serviceAccountName" in pod) is writes


def test_that_token_may_patch_pods_and_nothing_else():
    (account,), (role,), (binding,) = (
        of_kind(MADE["defaults"], kind) for kind in ("ServiceAccount", "Role", "RoleBinding")
    )
    (worker,) = (each for each in of_kind(MADE["defaults"], "Deployment") if "worker" in each["metadata"]["name"])

    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}]
    assert pod_of(worker)["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": NAMESPACE}
    ]
    assert of_kind(MADE["try out"], "Role", "RoleBinding", "ServiceAccount") == []


# Secrets


@pytest.mark.parametrize("values", GIVEN)
def test_no_secret_stands_in_a_manifest(values):
    assert of_kind(MADE[values], "Secret") == []
    assert re.findall(r"://[^\s/]*:[^\s/]*@", str(MADE[values])) == []


def test_every_program_reads_the_two_addresses_and_the_outbox_what_signs():
    for each in of_kind(MADE["everything"], "Deployment", "Job"):
        container = only_container(each)
        (volume,) = (volume for volume in pod_of(each)["spec"]["volumes"] if volume["name"] == "secrets")
        sources = [source["secret"] for source in volume["projected"]["sources"]]
        files = {item["path"] for source in sources for item in source["items"]}

        assert {source["name"] for source in sources} == {"p2p-edit"}
        signs = {"WEBHOOK_SECRET"} if container["name"] == "outbox" else set()
        assert files == {"REDIS_URL", "STORAGE_URL", "redis-ca.crt"} | signs
        assert variables(container)[SECRETS_DIR] == "/secrets"
        # A Secret without one of the addresses keeps the pod from starting, and says so.
        assert [source.get("optional", False) for source in sources] == [False, True][: len(sources)]


def test_every_program_reads_its_secrets_from_the_files_that_are_mounted(tmp_path, monkeypatch):
    """Laid as Kubernetes lays them: each file is a link into a folder that is exchanged as a whole."""
    given = {"REDIS_URL": "redis://:password@redis:6379/0", "STORAGE_URL": "s3://bucket", "WEBHOOK_SECRET": ""}
    for each in of_kind(MADE["everything"], "Deployment"):
        container = only_container(each)
        folder = tmp_path / each["metadata"]["name"]
        (folder / "..2026").mkdir(parents=True)
        (folder / "..data").symlink_to("..2026")
        (volume,) = (volume for volume in pod_of(each)["spec"]["volumes"] if volume["name"] == "secrets")
        for item in (item for source in volume["projected"]["sources"] for item in source["secret"]["items"]):
            (folder / "..2026" / item["path"]).write_text(given.get(item["path"], "x"))
            (folder / item["path"]).symlink_to(f"..data/{item['path']}")
        monkeypatch.setenv(SECRETS_DIR, str(folder))
        settings = settings_or_exit(READERS[PROGRAMS[container["name"]]])
        assert (settings.redis_url, settings.storage_url) == (given["REDIS_URL"], given["STORAGE_URL"])


@cache
def documented_secrets() -> dict[str, dict]:
    """What the command of README.md makes, with a random number that is known."""
    (command,) = (block for block in re.findall(r"```sh\n(.*?)```", README, re.S) if "kind: Secret" in block)
    made = command.replace("kubectl -n pictures create -f -", "cat").replace("openssl rand -hex 16", "echo 0123abcd")
    shown = subprocess.run(["bash", "-c", made], capture_output=True, text=True, check=True).stdout
    return {each["metadata"]["name"]: each["stringData"] for each in yaml.safe_load_all(shown)}


def test_the_command_of_the_readme_makes_what_the_try_out_reads():
    secrets = documented_secrets()
    (redis,) = of_kind(MADE["try out"], "StatefulSet")
    (service,) = (each for each in of_kind(MADE["try out"], "Service") if each["metadata"]["name"].endswith("-redis"))
    (volume,) = pod_of(redis)["spec"]["volumes"]

    assert secrets["p2p-edit-redis"] == {"password": "0123abcd", "redis.conf": "requirepass 0123abcd"}
    assert volume["secret"]["secretName"] == "p2p-edit-redis"
    assert {item["key"] for item in volume["secret"]["items"]} == {"redis.conf"}
    assert secrets["p2p-edit"]["REDIS_URL"] == f"redis://:0123abcd@{service['metadata']['name']}:6379/0"
    assert {"REDIS_URL", "STORAGE_URL", "WEBHOOK_SECRET"} == set(secrets["p2p-edit"])


def test_the_key_of_the_readme_is_one_that_the_job_takes():
    from service.api_keys import _FORM

    assert _FORM.fullmatch(documented_secrets()["p2p-edit-first-key"]["key"])
    (job,) = of_kind(manifests({"firstKey": {"secret": "p2p-edit-first-key"}}), "Job")
    container = only_container(job)
    assert tuple(container["command"][1:]) == (*FIRST_KEY, "--token-file", "/first-key/key")
    assert {"name": "first-key", "mountPath": "/first-key", "readOnly": True} in container["volumeMounts"]


def test_a_job_that_prints_the_key_is_kept_and_one_that_reads_it_is_run_at_every_upgrade():
    def hook(values: dict) -> str:
        (job,) = of_kind(manifests(values), "Job")
        return job["metadata"]["annotations"]["helm.sh/hook"]

    assert hook({}) == "post-install"
    assert hook({"firstKey": {"secret": "first"}}) == "post-install,post-upgrade"
    assert of_kind(manifests({"firstKey": {"enabled": False}}), "Job") == []


# How it starts and ends


@pytest.mark.parametrize("manifest", [each for each in WITH_PODS if each.values[0]["kind"] != "Job"])
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
        each for each in of_kind(MADE["defaults"], "PodDisruptionBudget") if each["metadata"]["name"].endswith(part)
    ]

    for each in pod_of(manifest)["spec"]["topologySpreadConstraints"]:
        assert each["labelSelector"]["matchLabels"] == chosen
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"
    (budget,) = budgets
    assert budget["spec"]["selector"]["matchLabels"] == chosen
    assert budget["spec"]["maxUnavailable"] == 1


# Who may connect


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
    for each in of_kind(MADE["defaults"], "Deployment"):
        container = only_container(each)
        (port,) = (port["containerPort"] for port in container["ports"])
        noted = pod_of(each)["metadata"]["annotations"]
        assert noted == {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
        assert variables(container)["PORT" if container["name"] == "api" else "METRICS_PORT"] == str(port)


@pytest.mark.parametrize("values", GIVEN)
def test_every_port_that_is_named_is_one_of_the_pods_that_are_chosen(values):
    ports = {
        port["name"]
        for each in of_kind(MADE[values], "Deployment", "StatefulSet")
        for port in only_container(each)["ports"]
    }
    named = {
        port["port"]
        for each in of_kind(MADE[values], "NetworkPolicy")
        for rule in each["spec"]["ingress"]
        for port in rule["ports"]
    }
    named |= {
        each["port"]
        for monitor in of_kind(MADE[values], "PodMonitor")
        for each in monitor["spec"]["podMetricsEndpoints"]
    }

    assert named <= ports <= {"http", "metrics", "redis"}


def test_the_ingress_leads_to_every_page_and_to_no_probe():
    (ingress,) = of_kind(MADE["everything"], "Ingress")
    (rule,) = ingress["spec"]["rules"]
    paths = [(each["path"], each["pathType"]) for each in rule["http"]["paths"]]
    routes = set(create_app(Settings()).openapi()["paths"])

    def is_reached(route: str) -> bool:
        return any(route == path or (kind == "Prefix" and route.startswith(f"{path}/")) for path, kind in paths)

    assert {route for route in routes if not is_reached(route)} == {"/livez", "/readyz", "/metrics"} & routes
    assert is_reached("/")
    assert not is_reached("/metrics")
    assert ingress["spec"]["tls"] == [{"hosts": ["edits.example.com"], "secretName": "tls"}]


# What is refused


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
    (config,) = of_kind(MADE["everything"], "ConfigMap")
    assert config["data"]["models.toml"] == EVERYTHING["modelsFile"]

    def noted(text: str) -> str:
        return pod_of(deployment({"modelsFile": text}, "scenes"))["metadata"]["annotations"]["p2p-edit/models-file"]

    assert noted("a") != noted("b")
    for part in ("-api", "-scenes"):
        container = only_container(deployment(EVERYTHING, part))
        assert variables(container)["MODELS_FILE"] == "/config/models.toml"
    assert "MODELS_FILE" not in variables(only_container(deployment(EVERYTHING, "-outbox")))


def test_every_test_that_the_readme_names_is_there():
    tests = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(?:tests/\w+/)?(test_\w+(?:\.py)?)`", README)

    assert len(named) > 10
    assert [name for name in named if name not in tests and f"def {name}(" not in tests["test_chart.py"]] == []


@pytest.mark.parametrize("command", re.findall(r"^(helm .*?[^\\])$", README, re.M | re.S))
def test_every_value_that_the_readme_sets_is_one_of_the_chart(command):
    for path, value in re.findall(r"--set ([\w.]+)=(\S+)", command):
        given: object = {"true": True}.get(value, value)
        for name in reversed(path.split(".")):
            given = {name: given}
        assert manifests(given)


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", README, re.S))
def test_the_values_that_the_readme_shows_are_taken(text):
    assert manifests(yaml.safe_load(text))
