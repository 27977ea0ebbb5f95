"""Every request is counted under its route's template and logged in one line."""

import logging

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from jobs.redis.backlog import Standing
from process.logs import JsonFormatter
from process.metrics import API, REGISTRIES

JOB_ID = "0" * 32


def counted(name: str, **labels: str) -> float:
    return REGISTRIES[API].get_sample_value(name, labels) or 0.0


@pytest.fixture
def more():
    """How much a sample has grown since it was first asked for."""
    before: dict[tuple, float] = {}

    def grown(name: str, **labels: str) -> float:
        key = (name, *labels.items())
        now = counted(name, **labels)
        return now - before.setdefault(key, now)

    return grown


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/v1/edits/nobody", "/v1/edits/{edit_id}", "4xx"),
        ("POST", "/v1/edits/nobody/cancel", "/v1/edits/{edit_id}/cancel", "4xx"),
        ("GET", "/v1/models", "/v1/models", "2xx"),
        ("GET", "/v1/artifacts/jobs/a/b/c.png", "/v1/artifacts/{key}", "4xx"),
        ("DELETE", "/v1/models", "/v1/models", "4xx"),
        ("GET", "/no/such/place", "none", "4xx"),
        ("BREW", "/no/such/place", "none", "4xx"),
    ],
)
def test_a_request_is_counted_under_its_routes_template(client, more, method, path, route, status):
    labels = {"method": method if method != "BREW" else "other", "route": route, "status": status}
    more("p2p_http_request_seconds_count", **labels)

    client.request(method, path)

    assert more("p2p_http_request_seconds_count", **labels) == 1


def test_what_fails_here_is_counted_as_an_error_of_ours(client, parts, more, monkeypatch):
    monkeypatch.setattr(parts.store, "look", lambda _: 1 / 0)
    labels = {"method": "GET", "route": "/v1/edits/{edit_id}"}
    more("p2p_http_request_seconds_count", status="5xx", **labels)
    more("p2p_http_problems_total", code="internal_error", **labels)

    client.get(f"/v1/edits/{JOB_ID}")

    assert more("p2p_http_request_seconds_count", status="5xx", **labels) == 1
    assert more("p2p_http_problems_total", code="internal_error", **labels) == 1


def test_an_edit_is_counted_as_accepted_or_by_why_it_was_refused(client, edit, more):
    refused = {"method": "POST", "route": "/v1/edits", "code": "invalid_request"}
    more("p2p_jobs_accepted_total", model="tiny")
    more("p2p_http_problems_total", **refused)

    client.post("/v1/edits", json=edit)
    client.post("/v1/edits", json={})

    assert more("p2p_jobs_accepted_total", model="tiny") == 1
    assert more("p2p_http_problems_total", **refused) == 1


def test_an_edit_that_is_asked_for_again_is_accepted_once(client, edit, more):
    more("p2p_jobs_accepted_total", model="tiny")

    for _ in range(2):
        client.put("/v1/edits/order-1", json=edit)
        client.post("/v1/edits", json=edit, headers={"Idempotency-Key": "order-2"})

    assert more("p2p_jobs_accepted_total", model="tiny") == 2


def test_no_label_is_of_a_clients_making(client, edit):
    job_id = client.post("/v1/edits", json=edit).json()["id"]
    client.get(f"/v1/edits/{job_id}")
    client.post("/v1/edits", json={**edit, "model": "made-up"})
    client.get("/made-up")

    shown = client.get("/metrics").text
    assert job_id not in shown
    assert "made-up" not in shown


def test_the_metrics_are_prometheuss_text_and_no_part_of_the_api(client):
    response = client.get("/metrics")

    names = {family.name for family in text_string_to_metric_families(response.text)}
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {"p2p_http_request_seconds", "p2p_jobs_waiting"} <= names
    assert not {"p2p_step_seconds", "p2p_reaper_sweeps"} & names
    assert "/metrics" not in client.get("/openapi.json").json()["paths"]


def test_the_queues_are_shown_as_they_stand_and_not_at_all_where_nobody_knows(serve, parts):
    standing = Standing(model="tiny", waiting=3, running=1, oldest_wait=7.5, workers=2)
    shown = serve(standings=lambda: [standing]).get("/metrics").text
    for line in ("jobs_waiting", "jobs_running", "oldest_wait_seconds", "workers_alive"):
        assert f'p2p_{line}{{model="tiny"}}' in shown
    assert 'p2p_oldest_wait_seconds{model="tiny"} 7.5' in shown

    def lost():
        raise redis.ConnectionError

    response = serve(standings=lost).get("/metrics")
    assert response.is_success
    assert 'model="tiny"} 7.5' not in response.text


@pytest.fixture
def lines(caplog):
    """What was logged so far, as it is written."""
    caplog.set_level(logging.INFO, "layers.access")
    said: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    handler = Keeping()
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield said
    logging.getLogger().removeHandler(handler)


def test_the_line_of_a_submission_names_the_job_and_its_trace(client, edit, parts, lines):
    header = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    job_id = client.post("/v1/edits", json=edit, headers={"traceparent": header}).json()["id"]

    (line,) = lines
    assert f'"job_id":"{job_id}"' in line
    assert f'"trace_id":"{"a" * 32}"' in line
    assert '"status":202' in line
    assert edit["source"]["prompt"] not in line


def test_a_line_names_the_job_and_the_key_by_whatever_id_a_client_asks(client, edit, lines):
    job_id = client.put("/v1/edits/order-1", json=edit).json()["id"]
    client.put("/v1/edits/order-1", json=edit)
    client.get("/v1/edits/order-1")
    client.post(f"/v1/edits/{job_id}/cancel")

    assert len(lines) == 4
    for line in lines:
        assert f'"job_id":"{job_id}"' in line
        assert '"key_id":"anonymous"' in line


def test_a_line_of_one_request_says_nothing_of_the_one_before(client, edit, lines):
    client.post("/v1/edits", json=edit)
    client.get("/livez")

    assert "job_id" in lines[0]
    assert "job_id" not in lines[1]
    assert "trace_id" not in lines[1]


def test_an_error_of_ours_is_logged_under_its_trace(client, parts, lines, monkeypatch):
    monkeypatch.setattr(parts.store, "look", lambda _: 1 / 0)

    client.get(f"/v1/edits/{JOB_ID}", headers={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})

    (error,) = (line for line in lines if '"level":"ERROR"' in line)
    assert f'"trace_id":"{"a" * 32}"' in error


def test_no_line_holds_a_query(client, lines):
    client.get("/v1/artifacts/jobs/a/b/c.png", params={"expires": "9", "signature": "hush"})

    assert len(lines) == 1
    assert "hush" not in lines[0]
