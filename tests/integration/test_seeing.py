"""What the running service shows of itself: metrics, logs, traces, and what an operator asks."""

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from process.trace import Trace
from stack.processes import python, running
from stack.services import Stack
from tests.patience import ANSWER, PATIENCE, eventually


@pytest.fixture
def total(served: Stack) -> Callable[..., float]:
    """A sample over all processes that show it and all labels that are not named."""

    def summed(name: str, **labels: str) -> float:
        found = 0.0
        for url in served.metrics.values():
            for family in text_string_to_metric_families(httpx.get(url, timeout=ANSWER).raise_for_status().text):
                for sample in family.samples:
                    if sample.name == name and labels.items() <= sample.labels.items():
                        found += sample.value
        return found

    return summed


def test_the_metrics_move_when_a_job_runs(post, until, total):
    of_job = {
        "p2p_jobs_accepted_total": 1,
        "p2p_attempts_total": 1,
        "p2p_queue_wait_seconds_count": 1,
        "p2p_first_step_seconds_count": 1,
        "p2p_step_seconds_count": 3,
        "p2p_publication_seconds_count": 1,
        "p2p_jobs_ended_total": 1,
    }
    before = {name: total(name, model="tiny-too") for name in of_job}
    succeeded = total("p2p_jobs_ended_total", model="tiny-too", status="succeeded")

    assert until(post("tiny-too", steps=4))["status"] == "succeeded"

    def moved() -> bool:
        return {name: total(name, model="tiny-too") - before[name] for name in of_job} == of_job

    assert eventually(moved)
    assert total("p2p_jobs_ended_total", model="tiny-too", status="succeeded") == succeeded + 1


def test_a_failure_is_counted_by_its_code(post, until, total):
    labels = {"model": "tiny-too", "status": "failed", "code": "prompt_too_long"}
    before = total("p2p_jobs_ended_total", **labels)

    until(post("tiny-too", source="a cat on the zyzzyva zyzzyva zyzzyva"))

    assert eventually(lambda: total("p2p_jobs_ended_total", **labels) == before + 1)


def test_the_queues_and_the_workers_of_every_model_are_shown(api, post, total):
    assert total("p2p_workers_alive", model="tiny") == 2
    assert total("p2p_workers_alive", model="tiny-third") == 0
    waiting = total("p2p_jobs_waiting", model="tiny-third")

    address = post("tiny-third")

    assert total("p2p_jobs_waiting", model="tiny-third") == waiting + 1
    assert eventually(lambda: total("p2p_oldest_wait_seconds", model="tiny-third") > 0)
    canceled = total("p2p_jobs_ended_total", model="tiny-third", status="canceled")
    api.post(f"{address}/cancel")
    assert total("p2p_jobs_waiting", model="tiny-third") == waiting
    assert total("p2p_jobs_ended_total", model="tiny-third", status="canceled") == canceled + 1


def test_the_reaper_is_seen_to_sweep(total):
    before = total("p2p_reaper_sweeps_total", result="complete")

    assert eventually(lambda: total("p2p_reaper_sweeps_total", result="complete") > before)


def test_every_process_shows_its_memory_and_where_it_does_is_written_for_prometheus(served):
    targets = json.loads((served.folder / "metrics.json").read_text())

    assert {target["labels"]["process"] for target in targets} == served.processes.keys()
    for target in targets:
        (address,) = target["targets"]
        assert "process_resident_memory_bytes" in httpx.get(f"http://{address}/metrics", timeout=ANSWER).text


def lines_of(served: Stack, process: str) -> list[dict]:
    """Everything that a process has logged, each line as the JSON object that it is."""
    return [json.loads(line) for line in (served.folder / f"{process}.log").read_text().splitlines()]


def about(served: Stack, process: str, job_id: str) -> list[dict]:
    return [line for line in lines_of(served, process) if line.get("job_id") == job_id]


def worked_on(served: Stack, job_id: str) -> Callable[[], bool]:
    """Whether a worker has said that a job of "tiny-too" succeeded."""
    return lambda: "succeeded" in {line["message"] for line in about(served, "worker-tiny-too-1", job_id)}


def test_a_job_is_found_in_the_logs_from_its_request_to_its_end(served, post, until):
    job = until(post("tiny-too", steps=2))
    assert eventually(worked_on(served, job["id"]))

    accepted = about(served, "api", job["id"])[0]
    begun, succeeded = about(served, "worker-tiny-too-1", job["id"])
    assert (accepted["method"], accepted["path"], accepted["status"]) == ("POST", "/v1/edits", 202)
    assert [begun["message"], succeeded["message"]] == ["begun", "succeeded"]
    for line in (begun, succeeded):
        assert (line["model"], line["attempt"], line["key_id"]) == ("tiny-too", 1, "anonymous")
        assert len(line["execution"]) == 32


@pytest.mark.parametrize("given", ["00-" + "5eed" * 8 + "-" + "b" * 16 + "-01", None])
def test_a_trace_goes_from_the_request_to_the_worker(served, api, post, until, given):
    body = until(post("tiny-too", steps=1))["spec"]
    headers = {"traceparent": given} if given else {}
    job_id = api.post("/v1/edits", json=body, headers=headers).json()["id"]
    until(f"/v1/edits/{job_id}")
    assert eventually(worked_on(served, job_id))

    lines = [about(served, "api", job_id)[0], *about(served, "worker-tiny-too-1", job_id)]
    traces = {line["trace_id"] for line in lines}
    assert len(lines) == 3
    assert len(traces) == 1
    if given:
        assert traces == {Trace.parse(given).trace_id}


def test_no_log_of_any_process_holds_a_prompt_or_a_signature(served, api, post, until):
    """Also where a job fails by its prompt, whose message then names it."""
    done = until(post("tiny-too", source="a cat on the zyzzyva", steps=1))
    url = done["artifacts"][0]["url"]
    assert api.get(url).is_success
    failed = until(post("tiny-too", source="a cat on the zyzzyva zyzzyva zyzzyva"))
    assert "zyzzyva" in failed["error"]["message"]
    api.post("/v1/edits", json={"source": {"prompt": "a zyzzyva"}, "targets": "zyzzyva", "zyzzyva": 1})

    logs = {path.name: path.read_text() for path in served.folder.glob("*.log")}
    assert {"api.log", "reaper.log", "outbox.log", "worker-tiny-too-1.log"} <= logs.keys()
    assert [name for name, text in logs.items() if "zyzzyva" in text or "signature" in text] == []


@pytest.mark.parametrize("process", ["api", "reaper", "outbox", "worker-tiny-1", "worker-tiny-too-1"])
def test_every_line_of_every_process_is_json_with_a_time_and_a_level(served, process):
    lines = lines_of(served, process)

    assert lines
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)


def asked(served: Stack, question: str) -> list[list[str]]:
    """What `python -m admin` answers, as rows of cells."""
    command = python("-m", "admin", question)
    environment = {"REDIS_URL": served.redis_url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return [line.split() for line in done.stdout.splitlines()]


def test_an_operator_sees_the_queues(served, api, post, until):
    until(post("tiny", steps=1))
    address = post("tiny-third")

    head, *rows = asked(served, "queues")
    api.post(f"{address}/cancel")

    assert head == ["model", "waiting", "running", "oldest", "wait", "workers"]
    by_model = {row[0]: row for row in rows}
    assert by_model["tiny"][-1] == "2"
    assert int(by_model["tiny-third"][1]) >= 1
    assert by_model["tiny-third"][-1] == "0"


def test_an_operator_sees_the_workers_and_what_they_do(served, api, post, until):
    address = post("tiny-too", steps=400)
    until(address, "running")

    _, *rows = asked(served, "workers")
    api.post(f"{address}/cancel")
    until(address)

    at_work = {row[1]: row[2:4] for row in rows if row[2] == "busy"}
    assert at_work == {"tiny-too": ["busy", address.split("/")[-1]]}
    assert sorted(row[1] for row in rows) == ["tiny", "tiny", "tiny-too"]
    pids = {str(process.pid) for name, process in served.processes.items() if name.startswith("worker")}
    assert {row[5] for row in rows} == pids


@pytest.mark.parametrize(("name", "suffix", "pillow"), [("jpeg", ".jpg", "JPEG"), ("webp", ".webp", "WEBP")])
def test_pictures_come_in_the_format_that_was_asked_for(api, post, until, name, suffix, pillow):
    spec = until(post("tiny", steps=1))["spec"] | {"artifacts": {"format": name}}
    spec["sampling"]["scheduler"] = "euler"
    job = until(api.post("/v1/edits", json=spec).headers["Location"])

    pictures = [artifact for artifact in job["artifacts"] if artifact["kind"] == "image"]
    assert [picture["name"] for picture in pictures] == [f"{which}{suffix}" for which in ("source", "edit-1", "edit-2")]
    for picture in pictures:
        response = api.get(picture["url"])
        assert response.headers["content-type"] == picture["content_type"] == f"image/{name}"
        read = Image.open(io.BytesIO(response.content))
        assert (read.format, read.size) == (pillow, (32, 32))
    (manifest,) = (artifact for artifact in job["artifacts"] if artifact["kind"] == "manifest")
    assert api.get(manifest["url"]).json()["scheduler"] == "euler"


@pytest.fixture
def moderated(served: Stack, tmp_path: Path) -> Iterator[None]:
    """A worker of "tiny-third" with the hook of the tests."""
    environment = {**served.environment, "MODERATION": "tests.moderation_hook:judge"}
    with running("worker", python("-m", "worker", "--model", "tiny-third"), tmp_path / "worker.log", environment):
        yield


def test_what_the_hook_refuses_fails_as_moderated_and_leaves_nothing(served, moderated, post, until, total):
    allowed = until(post("tiny-third", source="a cat", steps=1))
    by_prompt = until(post("tiny-third", source="a cat knife", steps=1))
    unjudged = until(post("tiny-third", source="a cat crash", steps=1))

    # Every edit of the tests has one target "at night", whose picture the hook refuses.
    assert (allowed["error"]["code"], allowed["progress"]["step"]) == ("moderated", 1)
    assert (by_prompt["error"]["code"], by_prompt["progress"]) == ("moderated", None)
    assert by_prompt["error"]["message"] == "refused: no knives here"
    assert unjudged["error"]["code"] == "moderation_failed"
    places = served.folder / "artifacts" / "jobs"
    assert [job["id"] for job in (allowed, by_prompt, unjudged) if (places / job["id"]).exists()] == []


@pytest.mark.parametrize(("source", "are_seen"), [("a cat", True), ("a cat in fog", False)])
def test_a_preview_that_the_hook_refuses_is_seen_by_nobody(served, moderated, api, until, source, are_seen):
    body = {
        "model": "tiny-third",
        "source": {"prompt": source},
        "targets": [{"prompt": source.replace("cat", "dog"), "edits": [{"kind": "replace"}]}],
        "sampling": {"steps": 30},
        "artifacts": {"previews": 3},
    }
    address = api.post("/v1/edits", json=body).headers["Location"]

    assert until(address)["status"] == "succeeded"
    assert ("event: preview" in api.get(f"{address}/events").text) == are_seen
    previews = (served.folder / "artifacts" / "jobs" / address.split("/")[-1]).glob("*/previews/*")
    assert any(previews) == are_seen
