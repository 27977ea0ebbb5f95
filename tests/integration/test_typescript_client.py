"""The TypeScript client: generated from openapi.yaml, compiled strictly, and run against the real service."""

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.node import ROOT, SOURCES, built, compiled, node


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

    node("node", "--test", "--test-timeout=60000", "test/client.test.ts", cwd=package)


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
