"""A new kind is a file and a row: each table has a row for each kind, so none is sorted out by name somewhere else."""

from typing import get_args

from p2p.correspondence import BY_ITSELF, CORRESPONDENCES
from p2p.edits import EDITS
from p2p.inversion import INVERSIONS
from p2p.spec import KINDS, METHODS, AligningKind, InversionMethod, aligning_edit
from worker.events import Event
from worker.publishing import WRITTEN


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
    assert set(INVERSIONS) == set(METHODS) == set(get_args(InversionMethod))


def test_every_event_of_a_job_is_written_down_by_a_row():
    assert set(WRITTEN) == set(get_args(Event))
