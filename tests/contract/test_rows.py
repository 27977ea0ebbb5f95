"""A new kind is a file and a row: each table has a row for each kind, so none is sorted out by name somewhere else."""

import re
from pathlib import Path
from typing import get_args

import pytest

from jobs.model import EVENT_NAMES, TRANSITIONS, JobStatus
from p2p.correspondence import BY_ITSELF, CORRESPONDENCES
from p2p.edits import EDITS
from p2p.families.stages import STAGES
from p2p.inversion import OF_STATE
from p2p.layouts import LAYOUTS
from p2p.spec import KINDS, METHODS, AligningKind, InversionMethod, aligning_edit
from p2p_client import results
from service.batches.bodies import BatchCounts
from webhooks.messages import EVENTS, EndedCounts, EndedEdit
from worker.events import Event
from worker.publishing import WRITTEN

ROOT = Path(__file__).parents[2]


def test_every_kind_of_edit_is_compiled_by_a_row():
    assert set(EDITS) == set(KINDS.values())


def test_every_kind_that_aligns_prompts_has_its_correspondence():
    aligning = {name for name, kind in KINDS.items() if kind.aligns}

    assert set(get_args(AligningKind)) == set(CORRESPONDENCES) == aligning
    assert BY_ITSELF in aligning


def test_every_kind_that_aligns_prompts_can_be_asked_for_by_its_name_alone():
    """POST /v1/alignments takes the name of a kind, and asks the kind what it needs of the prompts."""
    for name in get_args(AligningKind):
        assert aligning_edit(name).kind == name


def test_every_inversion_has_a_class_and_a_row():
    assert {name for rows in OF_STATE.values() for name in rows} == set(METHODS) == set(get_args(InversionMethod))


def test_every_further_model_that_a_layout_takes_is_loaded_by_a_row():
    assert {kind for layout in LAYOUTS.values() for kind in layout.stages} == set(STAGES)


def test_every_event_of_a_job_is_written_down_by_a_row():
    assert set(WRITTEN) == set(get_args(Event))


ENDS = {str(status) for status in JobStatus if status.is_terminal}


def test_every_state_of_a_job_has_its_row():
    assert set(TRANSITIONS) == set(JobStatus)


def test_every_end_of_a_job_is_announced():
    assert set(EVENTS) == {JobStatus(end) for end in ENDS}
    assert set(EVENTS.values()) == set(EVENT_NAMES)
    assert set(get_args(EndedEdit.model_fields["status"].annotation)) == set(EndedCounts.model_fields) == ENDS


def test_every_state_of_a_job_is_counted_in_its_batch():
    assert set(BatchCounts.model_fields) == {str(status) for status in JobStatus}


@pytest.mark.parametrize("end", sorted(ENDS - {"succeeded"}))
def test_the_page_has_words_for_every_other_end(end):
    text = (ROOT / "service/playground/page/stage.js").read_text(encoding="utf-8")
    (texts,) = re.findall(r"^  const texts = \{(.*?)^  \};", text, re.M | re.S)

    assert re.search(rf"^    {end}: ", texts, re.M)


def test_the_python_client_knows_every_state_and_every_end():
    assert set(get_args(results.Status)) == set(JobStatus)
    assert set(results.ENDS) == ENDS


@pytest.mark.parametrize("file", ["clients/typescript/src/client.ts", "service/playground/page/job.js"])
def test_clients_in_a_browser_s_language_know_every_end(file):
    (listed,) = re.findall(
        r"^const ENDS\b.*?= *(?:new Set\()?\[([^]]*)\]", (ROOT / file).read_text(encoding="utf-8"), re.M
    )

    assert set(re.findall(r'"(\w+)"', listed)) == ENDS
