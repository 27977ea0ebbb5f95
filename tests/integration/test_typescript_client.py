"""The TypeScript client: generated from openapi.yaml, compiled strictly, and run against the real service."""

import json
import re
import shutil
import time
from pathlib import Path

import httpx
import pytest

from stack.ports import free_port
from stack.processes import running
from tests.integration.node import NODE, ROOT, SOURCES, built, compiled, node
from tests.patience import ANSWER, eventually
from webhooks.signature import new_secret, signed


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("typescript"))


def test_its_types_are_those_of_openapi_yaml(package):
    before = (SOURCES / "src" / "schema.ts").read_text(encoding="utf-8")

    node("npm", "run", "generate", cwd=package)

    assert (package / "src" / "schema.ts").read_text(encoding="utf-8") == before, "run `make clients`"


def test_its_own_tests_pass(package):
    """What a lost connection, a busy service or a stranger's address make of its calls: test/client.test.ts."""
    node("node", str(package / "node_modules/typescript/bin/tsc"), "-p", "test", cwd=package)

    node("node", "--test", "--test-timeout=600000", "test/client.test.ts", cwd=package)


def test_a_program_runs_a_job_with_it(package, served, tmp_path):
    program = package.parents[1] / "job.ts"
    shutil.copy(ROOT / "tests" / "integration" / "typescript" / "job.ts", program)
    compiled(package, program)

    printed = node("node", "job.js", served.url, str(tmp_path), str(ROOT / "stack/photo.png"), cwd=program.parent)

    told = json.loads(printed)
    assert [told["events"][0], told["events"][-1], told["status"]] == ["queued", "succeeded", "succeeded"]
    assert told["files"] == [str(tmp_path / "source.png"), str(tmp_path / "edit-1.png")]
    assert all(Path(file).read_bytes().startswith(b"\x89PNG") for file in told["files"])
    assert (told["same"], told["canceled"], told["refused"]) == (True, "canceled", ["/model"])
    assert told["width"] > 0
    assert told["models"] == ["tiny", "tiny-too", "tiny-third"]


def test_the_program_that_is_shown_fetches_an_edit(package, served, tmp_path):
    text = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```typescript\n(.*?)```", text, re.DOTALL)
    # Where the reader's service is, and the model that this one has.
    code = code.replace("http://127.0.0.1:8000", served.url).replace("source:", 'model: "tiny", source:', 1)
    program = package.parents[1] / "readme.ts"
    program.write_text(code, encoding="utf-8")
    compiled(package, program)

    printed = node("node", str(program.with_suffix(".js")), cwd=tmp_path)

    assert (tmp_path / "pictures" / "edit-1.png").is_file()
    assert "succeeded" in printed


def test_the_receiver_in_the_documents_takes_what_is_signed(package, tmp_path):
    text = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```typescript\n(.*?)```", text, re.DOTALL)
    port, secret = free_port(), new_secret()
    program = package.parents[1] / "told.ts"
    program.write_text(code.replace("3000", str(port)), encoding="utf-8")
    compiled(package, program)
    body = b'{"type":"edit.succeeded","timestamp":"2026-01-31T12:00:00Z","data":{"id":"0f1e","status":"succeeded"}}'
    transport = httpx.HTTPTransport(retries=12)  # until it listens

    with (
        running("told", [NODE, str(program.with_suffix(".js"))], tmp_path / "log", {"WEBHOOK_SECRET": secret}),
        httpx.Client(transport=transport, timeout=ANSWER) as client,
    ):
        answers = [
            client.post(
                f"http://127.0.0.1:{port}/told",
                content=body,
                headers=dict(signed("0f1e-succeeded", int(time.time()), body, secrets)),
            ).status_code
            for secrets in ([new_secret()], [], [new_secret(), secret])
        ]
        # It answers first and writes afterwards, as it should.
        assert eventually((tmp_path / "log").read_text)
        said = (tmp_path / "log").read_text()

    assert answers == [401, 401, 204]
    assert said == "edit.succeeded 0f1e\n"
