"""What the Helm chart makes is valid, is named as usual, and is what its README says."""

import re

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator

from p2p.version import VERSION
from tests.chart import (
    CHART,
    GIVEN,
    NAMESPACE,
    README,
    RELEASE,
    ROOT,
    TRY_OUT,
    Manifest,
    cases,
    helm_python,
    made,
    manifests,
    merged,
    of_kind,
    pod_of,
)

#: Of Kubernetes: the oldest that the chart says it runs on, one between, and the newest whose schemas there are.
VERSIONS = ("1.27", "1.32", "1.37")
CUSTOM = {
    kind: schema
    for file in sorted((ROOT / "tests" / "custom_resources").glob("*.yaml"))
    for kind, schema in yaml.safe_load(file.read_text(encoding="utf-8")).items()
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", GIVEN)
def test_kubernetes_knows_every_field(values, version):
    for each in made(values):
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("values", GIVEN)
def test_keda_and_prometheus_know_every_field(values):
    for each in of_kind(made(values), *CUSTOM):
        Draft7Validator(CUSTOM[each["kind"]]).validate(each["spec"])


def test_the_validators_find_what_is_wrong():
    (scaled,) = of_kind(made("try out"), "ScaledObject")
    with pytest.raises(Exception, match="formulas"):
        Draft7Validator(CUSTOM["ScaledObject"]).validate(scaled["spec"] | {"formulas": ""})
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(made("defaults")[0] | {"specs": {}}, VERSIONS[0], strict=True)


@pytest.mark.parametrize("values", GIVEN)
def test_helm_itself_makes_the_same(values):
    if helm_python is None:
        pytest.skip("Helm is not here: pip install helm-python-sdk==0.2.2")
    with helm_python.Chart.load(str(CHART)) as chart:
        files = chart.render(GIVEN[values], name=RELEASE, namespace=NAMESPACE)
    theirs = [
        each for name, text in files.items() if not name.endswith(".txt") for each in yaml.safe_load_all(text) if each
    ]

    def order(each: Manifest) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    assert sorted(theirs, key=order) == sorted(made(values), key=order)
    assert helm_python.lint(str(CHART))["errors"] == []


@pytest.mark.parametrize("values", GIVEN)
def test_no_two_objects_have_one_name_and_every_name_is_short_enough(values):
    names = [(each["kind"], each["metadata"]["name"]) for each in made(values)]

    assert len(names) == len(set(names))
    longest = {
        "nameOverride": "n" * 63,
        "workers": [{"name": "w" * 20, "models": ["m"], "autoscaling": {"enabled": True}}],
    }
    for each in manifests(merged(longest, TRY_OUT)):
        # KEDA names its autoscaler keda-hpa-NAME; a StatefulSet's pods get a number.
        assert len(each["metadata"]["name"]) <= (54 if each["kind"] == "ScaledObject" else 60)


@pytest.mark.parametrize("manifest", cases())
def test_every_object_has_the_usual_labels(manifest):
    labels = manifest["metadata"]["labels"]

    usual = ("name", "instance", "component", "version", "part-of", "managed-by")
    assert {f"app.kubernetes.io/{name}" for name in usual} <= set(labels)
    assert labels["helm.sh/chart"] == f"p2p-edit-{VERSION}"


@pytest.mark.parametrize("values", GIVEN)
def test_every_choice_of_pods_chooses_pods_that_there_are(values):
    pods = [pod_of(each)["metadata"]["labels"] for each in of_kind(made(values), "Deployment", "StatefulSet", "Job")]

    def chosen(labels: dict, expressions: list) -> list:
        wanted = [(each["key"], each["values"]) for each in expressions]
        return [
            pod
            for pod in pods
            if labels.items() <= pod.items() and all(pod.get(key) in values for key, values in wanted)
        ]

    for each in made(values):
        spec = each.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector")
        if selector:
            found = selector if each["kind"] == "Service" else selector.get("matchLabels", {})
            number = len(chosen(found, [] if each["kind"] == "Service" else selector.get("matchExpressions", [])))
            assert number == 1 or each["metadata"]["name"].endswith("-behind"), each["metadata"]["name"]
            assert number >= 1


def test_every_test_that_the_readme_names_is_there():
    tests = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(?:tests/\w+/)?(test_\w+(?:\.py)?)`", README)

    assert len(named) > 10
    assert [name for name in named if name not in tests and f"def {name}(" not in "".join(tests.values())] == []


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
