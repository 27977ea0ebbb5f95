"""What somebody may have to account for is added to a file, a line each, and nothing of it is changed again."""

import json
import stat
from datetime import timedelta

import pytest

from jobs.model import new_job
from process.audit import Audit, AuditUnavailable
from tests.edits import CAT_TO_DOG
from worker.moderation import Judge, NotAllowed


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_added_by_any_number_of_processes(tmp_path):
    path = tmp_path / "audit.log"
    Audit(path).note("edit_erased", edit="a", key="k")

    Audit(path).note("image_erased", image="b", key="k")

    first, second = lines(path)
    assert (first["event"], first["edit"], second["event"], second["image"]) == (
        "edit_erased",
        "a",
        "image_erased",
        "b",
    )
    assert first["time"] <= second["time"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_file_nothing_is_noted(tmp_path):
    Audit().note("edit_erased", edit="a", key="k")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_added_to_is_said_at_the_start(tmp_path):
    with pytest.raises(AuditUnavailable, match="AUDIT_LOG"):
        Audit(tmp_path / "no" / "such" / "folder")


def test_a_line_that_is_not_taken_goes_to_the_programs_own_log(tmp_path, caplog):
    path = tmp_path / "folder" / "audit.log"
    path.parent.mkdir()
    audit = Audit(path)
    path.unlink()
    path.parent.rmdir()

    audit.note("edit_erased", edit="a", key="k")

    assert '"edit": "a"' in caplog.text


def test_what_moderation_refuses_is_noted_without_its_prompt(tmp_path):
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    judge = Judge(lambda material: "no", Audit(tmp_path / "audit.log"))

    with pytest.raises(NotAllowed):
        judge.judge_prompts(job)

    (line,) = lines(tmp_path / "audit.log")
    assert (line["event"], line["job"], line["key"], line["what"]) == (
        "moderation_refused",
        job.id,
        job.owner,
        "the prompts",
    )
    assert "a dog" not in (tmp_path / "audit.log").read_text()
