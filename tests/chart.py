"""The chart of deploy/helm, rendered as Helm renders it.

Helm itself is no package of a registry that tests could install in reasonable size: `helm-python-sdk`, which holds all
of it, is 75 MB to download. So the templates are rendered by `gotpl`, Go's template language with Helm's functions in
Python. Where Helm is there all the same, `helm_python` is not None, and tests compare.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from gotpl.exts.helm import HelmTemplateEngine
from jsonschema import Draft7Validator

try:
    import helm_python
except ImportError:
    helm_python = None

ROOT = Path(__file__).parents[1]
CHART = ROOT / "deploy" / "helm"
README = (CHART / "README.md").read_text(encoding="utf-8")
ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
TEMPLATES = sorted((CHART / "templates").iterdir())
RELEASE, NAMESPACE = "edits", "pictures"

Manifest = dict[str, Any]

#: Values with every part on: two kinds of workers, one of them on GPUs with two models, and Redis behind Sentinel.
EVERYTHING: dict[str, Any] = yaml.safe_load("""
image:
  registry: registry.example.com/team/
  pullSecrets: [login]
  service: {digest: "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
publicUrl: https://edits.example.com/pictures
secret: {redisCaKey: ca.crt}
modelsFile: |
  [[models]]
  id = "painter"
settings: {MAX_ATTEMPTS: "4", LOG_FORMAT: json}
redis:
  database: 3
  tls: {enabled: true}
  auth: {secret: redis-login, usernameKey: user}
  sentinel: {addresses: ["s1:26379", "s2:26379"], master: mymaster, usernameKey: watcher, passwordKey: watchword}
firstKey: {secret: first-key}
api:
  cacheClaim: models
  settings: {MAX_BODY_BYTES: "262144"}
  affinity: {nodeAffinity: {}}
  tolerations: [{operator: Exists}]
ingress: {enabled: true, host: edits.example.com, tlsSecret: tls, className: nginx, annotations: {a: b}}
outbox: {webhookUrl: "https://hooks.example.com/"}
workers:
  - {name: scenes, models: [scenes], autoscaling: {enabled: true}}
  - name: painter
    models: [painter, sd-1.5]
    gpu: 1
    settings: {WORKER_MEMORY: 20GB}
    runtimeClassName: nvidia
    priorityClassName: pictures
    cacheClaim: models
    nodeSelector: {nvidia.com/gpu.present: "true"}
    tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
    annotations: {cluster-autoscaler.kubernetes.io/safe-to-evict: "false"}
    autoscaling: {enabled: true, max: 50, buffer: 2, jobsPerWorker: 4}
networkPolicies:
  apiFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}]
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
monitoring: {podMonitor: {enabled: true, labels: {release: prometheus, team: operators}}}
labels: {team: pictures}
""")
#: A cluster without anything: the chart's own Redis, scaled by KEDA; no rights for workers, no budgets, no policies.
TRY_OUT: dict[str, Any] = yaml.safe_load("""
redis: {tryOut: {enabled: true, storageClass: fast}}
workers: [{name: scenes, models: [scenes], autoscaling: {enabled: true}}]
deletionCost: {enabled: false}
disruptionBudgets: {enabled: false}
monitoring: {annotations: false}
""")
#: Names that YAML reads as something else: numbers, true and nothing. And signs of templates and of YAML.
ODD: dict[str, Any] = yaml.safe_load("""
image: {registry: "10.0.0.1:5000", pullSecrets: ["123"], service: {repository: "1", tag: "1e3"}}
secret: {name: "456", redisCaKey: "true"}
modelsFile: "# {{ .Values.secret.name }}: 'a' #"
settings: {MODERATION: "{{ fail 1 }}: #'", LEASE: "1e1"}
redis:
  tryOut: {enabled: true, secret: "789", storage: "1000000000", storageClass: "null"}
  auth: {passwordKey: "on", usernameKey: "0x1"}
firstKey: {secret: "0123"}
api: {tmpSize: "2000000000", service: {annotations: {a: "true"}}}
ingress: {enabled: true, host: "1.5", className: "on", tlsSecret: "1e3"}
workers:
  - {name: "123", models: ["on", "0x1F", "123", a.b_c-D], cacheClaim: "12", autoscaling: {enabled: true}}
  - {name: "null", models: ["1e3"], priorityClassName: "1", runtimeClassName: "true", autoscaling: {enabled: true}}
networkPolicies: {kedaNamespace: "42"}
labels: {team: "7"}
""")
#: OpenShift gives each namespace users of its own.
OPENSHIFT: dict[str, Any] = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
GIVEN: Mapping[str, dict[str, Any]] = {
    "defaults": {},
    "everything": EVERYTHING,
    "try out": TRY_OUT,
    "odd": ODD,
    "openshift": OPENSHIFT,
}


class Refused(Exception):
    """The chart does not take these values; the message is Helm's in substance."""


def merged(values: Mapping[str, Any], over: Mapping[str, Any] = DEFAULTS) -> dict[str, Any]:
    """Values over the chart's own, as Helm lays them: objects are merged, lists are not, and null takes one away."""
    together = {name: value for name, value in over.items() if values.get(name, value) is not None or value is None}
    for name, value in values.items():
        own = together.get(name)
        if value is None and name in over:
            continue
        together[name] = merged(value, own) if isinstance(value, Mapping) and isinstance(own, Mapping) else value
    return together


def texts(values: Mapping[str, Any]) -> Mapping[str, str]:
    """Every template's text, by its file's name; raises `Refused`."""
    together = merged(values)
    wrong = [
        f"{'.'.join(map(str, each.path))}: {each.message}" for each in Draft7Validator(SCHEMA).iter_errors(together)
    ]
    if wrong:
        raise Refused("\n".join(wrong))
    about = {"Name": ABOUT["name"], "Version": ABOUT["version"], "AppVersion": ABOUT["appVersion"]}
    release = {"Name": RELEASE, "Namespace": NAMESPACE, "Service": "Helm", "IsInstall": True, "Revision": 1}
    scope = {"Values": together, "Chart": about, "Release": release}
    try:
        return _engine().render({path.name: scope for path in TEMPLATES if path.suffix != ".tpl"})
    except Exception as error:
        raise Refused(str(error)) from error


@cache
def _engine() -> HelmTemplateEngine:
    return HelmTemplateEngine({path.name: path.read_text(encoding="utf-8") for path in TEMPLATES})


def manifests(values: Mapping[str, Any]) -> Sequence[Manifest]:
    """Every object that Helm would send to Kubernetes."""
    files = (text for name, text in texts(values).items() if name != "NOTES.txt")
    return [each for text in files for each in yaml.safe_load_all(text) if each]


def of_kind(objects: Sequence[Manifest], *kinds: str) -> Sequence[Manifest]:
    """Those of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def pod_of(manifest: Manifest) -> Manifest:
    """The pod's template of a Deployment, a StatefulSet or a Job."""
    return manifest["spec"]["template"]


@cache
def made(given: str) -> Sequence[Manifest]:
    """Every object of some of `GIVEN`."""
    return manifests(GIVEN[given])


def cases(*kinds: str) -> Sequence[Any]:
    """Each object of some kinds, or of all, of each of `GIVEN`, as a parameter of a test."""
    return [
        pytest.param(each, id=f"{given}: {each['kind']} {each['metadata']['name']}")
        for given in GIVEN
        for each in made(given)
        if not kinds or each["kind"] in kinds
    ]


def deployment(values: Mapping[str, Any], part: str) -> Manifest:
    """The Deployment whose name ends so."""
    (found,) = (each for each in of_kind(manifests(values), "Deployment") if each["metadata"]["name"].endswith(part))
    return found


def only_container(manifest: Manifest) -> Manifest:
    """A pod's one container."""
    (container,) = pod_of(manifest)["spec"]["containers"]
    return container


def variables(container: Manifest) -> dict[str, str]:
    """A container's variables; one that is not written out is empty."""
    return {each["name"]: each.get("value", "") for each in container["env"]}


#: Whose settings a container reads (`tools.settings_table.READERS`), by its name.
PROGRAMS = {"api": "API", "worker": "worker", "reaper": "reaper", "outbox": "outbox"}
