"""What every process says about itself: one line an event on standard error, JSON for machines or text for people.

Code that works on a job says so once, with `bound(job_id=...)`; every line that is logged within, by whatever library,
carries the fields of `CONTEXT`. What is logged never holds a prompt, a secret or a signed URL: `tests/integration`
searches the logs of the whole service for them.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal, TextIO

from pydantic_core import PydanticSerializationError, to_json

#: Fields of the lines logged from here on: job_id, batch_id, execution, attempt, key_id, trace_id, model. Replaced,
#: never changed.
CONTEXT: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=MappingProxyType({}))

LogFormat = Literal["auto", "json", "text"]
#: Libraries that log whole URLs at INFO, which can hold a signature or a password.
_TALKATIVE = ("httpx", "httpcore")
#: Short forms for people, who read many lines.
_SHORT = {"job_id": "job", "trace_id": "trace", "key_id": "key"}


def bind(**fields: object) -> None:
    """Add fields to every line that is logged from here on in this context: a request, a thread, a `bound` block."""
    CONTEXT.set({**CONTEXT.get(), **fields})


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Within the block every line that is logged carries these fields, and those that are bound in it."""
    token = CONTEXT.set({**CONTEXT.get(), **fields})
    try:
        yield
    finally:
        CONTEXT.reset(token)


class JsonFormatter(logging.Formatter):
    """For machines: a JSON object a line.

    Its fields: time (UTC), level, logger, message, the context, what the record itself brings as `fields`, and
    exception where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = getattr(record, "fields", {})
        if record.exc_info:
            fields = {**fields, "exception": self.formatException(record.exc_info)}
        return self.line(record.created, record.levelname, record.name, record.getMessage(), fields)

    def line(self, created: float, level: str, logger: str, message: str, fields: Mapping[str, object]) -> str:
        """The line of an event, without its end."""
        said = {
            "time": self._time(created),
            "level": level,
            "logger": logger,
            "message": message,
            **CONTEXT.get(),
            **fields,
        }
        try:
            return to_json(said, fallback=str).decode()
        except PydanticSerializationError:  # half a character pair, which UTF-8 cannot write
            return json.dumps(said, default=str)

    def __init__(self) -> None:
        super().__init__()
        self._second, self._written = 0, ""

    def _time(self, moment: float) -> str:
        """A moment by RFC 3339, to the millisecond; what many lines share is written once a second."""
        second = int(moment)
        if second != self._second:
            self._second, self._written = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._written}.{int((moment - second) * 1000):03d}Z"


class TextFormatter(logging.Formatter):
    """A line for people: when, how bad, who, what, and in brackets about which job."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line before any traceback."""
        fields = {**CONTEXT.get(), **getattr(record, "fields", {})}
        about = " ".join(f"{_SHORT.get(name, name)}={value}" for name, value in fields.items())
        line = super().formatMessage(record) + (f" [{about}]" if about else "")
        # A path of a client's choosing must not begin a line of its own.
        return line.replace("\r", "\\r").replace("\n", "\\n")


class JsonLines(logging.StreamHandler):
    """Writes lines for machines."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.formatter: JsonFormatter = JsonFormatter()

    def write(self, line: str) -> None:
        """Write one line."""
        self.acquire()
        try:
            self.stream.write(line + self.terminator)
            self.flush()
        finally:
            self.release()


def info(log: logging.Logger, message: str, fields: Mapping[str, object]) -> None:
    """`log.info` for what is logged with every request.

    `logging` makes a record of each event, with its path, thread and process. Where this process alone reads its lines
    and writes JSON, nobody looks at those: without the record a line takes a third of the time.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    handlers = logging.root.handlers
    if len(handlers) == 1 and isinstance(lines := handlers[0], JsonLines) and not log.handlers:
        lines.write(lines.formatter.line(time.time(), "INFO", log.name, message, fields))
    else:
        log.info("%s", message, extra={"fields": fields})


def set_up_logs(log_format: LogFormat) -> None:
    """Have this process log to standard error; "auto" is text on a terminal and JSON elsewhere."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler: logging.Handler = JsonLines(sys.stderr)
    if as_text:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(TextFormatter())
    # Looked up for every line and shown in none (the logging HOWTO's "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
