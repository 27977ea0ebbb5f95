"""Lines for machines and lines for people."""

import io
import json
import logging
import sys
import threading
from datetime import datetime

import pytest

from jobs.model import Job
from process import logs


@pytest.fixture
def log(monkeypatch):
    """Logs as a process of ours does; gives what it wrote."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level, logging.getLogger("httpx").level
    settings = logging.logThreads, logging.logProcesses, logging.logMultiprocessing, logging._srcfile

    def start(log_format: str = "json") -> io.StringIO:
        monkeypatch.setattr(sys, "stderr", stream)  # here, because pytest captures anew after the fixtures
        logs.set_up_logs(log_format)
        return stream

    yield start
    root.handlers[:], root.level = before[0], before[1]
    logging.getLogger("httpx").setLevel(before[2])
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing, logging._srcfile = settings


def test_a_line_is_json_with_what_is_bound(log):
    stream = log()
    with logs.bound(job_id="j1", model="tiny"):
        logs.bind(attempt=2)
        logging.getLogger("some.library").warning("slow: %d s", 3)
    logging.getLogger("some.library").info("after\nit")

    bound, free = map(json.loads, stream.getvalue().splitlines())
    assert (bound.pop("time")[-1], bound) == (
        "Z",
        {"level": "WARNING", "logger": "some.library", "message": "slow: 3 s", "job_id": "j1", "model": "tiny"}
        | {"attempt": 2},
    )
    assert free.keys() == {"time", "level", "logger", "message"}


@pytest.mark.parametrize(("value", "written"), [("ä", "ä"), ("half \ud83d", "half \ud83d"), (Exception("x"), "x")])
def test_a_line_is_json_whatever_it_says(log, value, written):
    stream = log()
    with logs.bound(value=value):
        logging.getLogger("some.library").info("it")

    assert json.loads(stream.getvalue())["value"] == written


def test_the_time_of_a_line_is_the_moment_it_was_logged():
    made = logging.LogRecord("x", logging.INFO, "", 0, "m", None, None)
    written = json.loads(logs.JsonFormatter().format(made))["time"]

    # Written to the millisecond, and not beyond it.
    assert 0 <= made.created - datetime.fromisoformat(written).timestamp() < 0.00101


def test_an_exception_is_one_field_of_one_line(log):
    stream = log()
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("x").exception("it failed")

    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: no")


def test_a_thread_does_not_see_what_another_one_bound(log):
    stream = log()
    with logs.bound(job_id="j1"):
        thread = threading.Thread(target=logging.getLogger("x").info, args=("elsewhere",))
        thread.start()
        thread.join()

    assert "job_id" not in json.loads(stream.getvalue())


def test_people_get_a_line_of_text_that_nothing_can_break(log):
    stream = log("text")
    with logs.bound(job_id="j1", trace_id="t1"):
        logging.getLogger("x").info("GET %s", "/a\nERROR forged")

    (line,) = stream.getvalue().splitlines()
    assert line.endswith("INFO x: GET /a\\nERROR forged [job=j1 trace=t1]")


@pytest.mark.parametrize(("terminal", "begins"), [(True, "2"), (False, "{")])
def test_where_nothing_is_said_a_terminal_gets_text_and_a_file_json(log, monkeypatch, terminal, begins):
    stream = log()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    logs.set_up_logs("auto")
    logging.getLogger("x").info("hello")

    assert stream.getvalue().startswith(begins)


def test_urls_that_a_library_asks_for_are_not_logged(log):
    stream = log()
    logging.getLogger("httpx").info("HTTP Request: POST https://user:hush@host/?signature=hush")

    assert stream.getvalue() == ""


def test_a_record_that_cannot_be_read_is_complained_of_without_what_stands_in_it():
    with pytest.raises(ValueError, match="spec") as caught:
        Job.model_validate({"id": "x", "spec": {"source": {"prompt": ["a secret prompt"]}}})

    assert "a secret prompt" not in str(caught.value)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_is_logged_with_every_request_is_written_as_any_other_line(log, log_format):
    stream, access = log(log_format), logging.getLogger("layers.access")
    with logs.bound(job_id="j1"):
        logs.info(access, "GET / 200", {"status": 200})
        access.info("GET / 200", extra={"fields": {"status": 200}})

    ours, plain = stream.getvalue().splitlines()
    if log_format == "json":
        ours, plain = ({**json.loads(line), "time": ""} for line in (ours, plain))
        assert ours == plain
    else:
        assert ours.partition(" INFO ")[2] == plain.partition(" INFO ")[2] != ""


def test_what_is_logged_with_every_request_reaches_whoever_else_listens(log):
    stream, heard = log(), []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    listening = Listening()
    logging.getLogger().addHandler(listening)
    logs.info(logging.getLogger("layers.access"), "GET / 200", {})

    assert heard == ["GET / 200"]
    assert json.loads(stream.getvalue())["message"] == "GET / 200"
