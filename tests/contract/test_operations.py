"""What operators are given names metrics that there are, and says what to do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from process.metrics import DECLARED, REGISTRIES
from tools.markdown import with_part
from tools.metrics_table import DOCUMENT, PART, metrics_table

ROOT = Path(__file__).parents[2]
TEXT = DOCUMENT.read_text(encoding="utf-8")
ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = {f"alert {rule['alert']}": rule["expr"] for rule in ALERTS} | {
    f"panel {panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}
#: Words of PromQL that are no names of metrics; functions are followed by a bracket.
_WORDS = {"by", "on", "and", "or", "unless", "le", "bool", "offset", "ignoring", "without"}
_SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
#: Sample names, as they are asked for, and the labels each has.
SAMPLES = {
    metric.name + suffix: {*metric.labels, *(["le"] if suffix == "_bucket" else [])}
    for metric in DECLARED
    for suffix in _SUFFIXES[metric.kind]
}


def names(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Every metric that an expression asks for, and the labels by which it chooses."""
    without_text = re.sub(r'"[^"]*"', '""', expression)
    grouped = re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)", " ", without_text)
    spans = re.sub(r"\[[^\]]*\]", " ", grouped)
    for name, chosen in re.findall(r"([a-zA-Z_:][\w:]*)(?!\w|\s*\()\s*(?:\{([^}]*)\})?", spans):
        if name not in _WORDS and f"{name}=" not in re.sub(r"\s", "", ",".join(re.findall(r"\{([^}]*)\}", spans))):
            yield name, set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)", chosen))


def groupings(expression: str) -> set[str]:
    return {label.strip() for group in re.findall(r"\bby\s*\(([^)]*)\)", expression) for label in group.split(",")}


def test_the_table_of_metrics_is_the_registries():
    assert with_part(TEXT, PART, metrics_table()) == TEXT, "run `python -m tools.metrics_table --write`"


def test_every_metric_of_a_registry_is_declared_as_measured_there():
    for process, registry in REGISTRIES.items():
        declared = {metric.name for metric in DECLARED if process in metric.measured_by}
        assert registered(registry) == declared, process


def registered(registry: CollectorRegistry) -> set[str]:
    """Names as they are shown, of our own: tests in one process with the API's own may have added its `process_*`."""
    families = (family for family in registry.collect() if family.name.startswith("p2p_"))
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def test_names_carry_their_units_and_labels_have_few_values():
    for metric in DECLARED:
        assert metric.name.startswith("p2p_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.kind != "histogram" or metric.name.endswith(("_seconds", "_rows", "_jobs"))
        assert set(metric.labels) <= {"model", "status", "code", "route", "method", "result", "cell"}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_an_expression_asks_for_metrics_and_labels_that_there_are(expression):
    asked = list(names(expression))

    assert asked
    for name, labels in asked:
        assert name in SAMPLES, name
        assert labels <= SAMPLES[name], name
    assert groupings(expression) <= set().union(*(SAMPLES[name] for name, _ in asked))


def test_the_reader_of_expressions_finds_what_is_wrong():
    """Of an expression with every construct that is used here, and a name that does not exist."""
    expression = 'sum by (model, le) (rate(p2p_gone{a="b", c=~"d"}[5m])) / on (x) max(p2p_other) > 0.5 and absent(foo)'

    assert list(names(expression)) == [("p2p_gone", {"a", "c"}), ("p2p_other", set()), ("foo", set())]
    assert groupings(expression) == {"model", "le"}


def test_every_metric_is_on_the_dashboard_or_in_an_alert():
    everything = " ".join(EXPRESSIONS.values())

    assert [metric.name for metric in DECLARED if metric.name not in everything] == []


def test_every_alert_says_what_to_do():
    sections = re.findall(r"^### (\w+)$", TEXT, re.M)

    assert sections == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")


def test_panels_do_not_lie_on_each_other_and_name_a_unit():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
