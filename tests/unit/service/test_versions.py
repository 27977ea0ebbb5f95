"""What a record says that it needs, and who reads it while an installation is upgraded."""

from datetime import timedelta

import pytest

from jobs.model import new_job
from jobs.versions import FIRST, SCHEMA_VERSION
from p2p.change.choosing import explicit
from p2p.spec import EditSpec

DOG = {"words": [{"word": "dog"}]}


#: Tokens that are held are the newest, then straight lines of flows and pictures without edits; room for additions
#: came with guidance of words.
SECOND, THIRD, FOURTH, FIFTH = 2, 3, 4, 5


def version(**target) -> int:
    body = {"model": "tiny", "source": {"prompt": "a cat on a beach"}, "targets": [{"prompt": "a dog", **target}]}
    return new_job(explicit(EditSpec.model_validate(body)), lifetime=timedelta(hours=1)).schema_version


@pytest.mark.parametrize(
    "target",
    [
        {"edits": [{"kind": "refine"}]},
        {"edits": [{"kind": "refine"}], "local_blend": {**DOG, "source_subtract_words": [{"word": "beach"}]}},
        {"edits": [{"kind": "refine"}], "local_blend": {"box": {"left": 0, "top": 0, "right": 1, "bottom": 0.5}}},
        {"prompt": "a dog on a beach"},
    ],
)
def test_what_uses_nothing_new_is_read_by_the_first_version(target):
    assert version(**target) == FIRST


@pytest.mark.parametrize(
    ("target", "needed"),
    [
        ({"edits": [{"kind": "refine", "filled_by": []}]}, SECOND),
        ({"edits": [{"kind": "refine"}], "local_blend": {**DOG, "fresh_noise": True}}, SECOND),
        ({"edits": [{"kind": "refine"}], "local_blend": {"source_subtract_words": [{"word": "cat"}]}}, SECOND),
        ({"prompt": "a cat on a lawn", "keep": "things"}, SECOND),
        ({"prompt": "a cat on a beach", "weights": [{"word": "cat", "weight": 2}]}, THIRD),
        ({"prompt": "a cat on a beach", "weights": [{"word": "cat", "weight": 0.5}]}, THIRD),
        ({"prompt": "a cat and a dog on a beach"}, THIRD),  # `room` is chosen
        ({"edits": [{"kind": "refine"}], "mass": "mass_matched"}, THIRD),
        ({"local_blend": {"mask": {"upload": "img_" + "0" * 32, "read_by": "transparency"}}}, FOURTH),
    ],
)
def test_what_uses_something_new_waits_for_a_worker_that_reads_it(target, needed):
    assert version(**target) == needed <= SCHEMA_VERSION


def test_tokens_that_are_held_wait_for_such_a_worker_too():
    body = {"model": "tiny", "source": {"prompt": "a cat"}, "targets": [{"prompt": "a dog"}]}
    jobs = [
        new_job(EditSpec.model_validate(body | {"sampling": {"order": order}}), lifetime=timedelta(hours=1))
        for order in ("source", "held")
    ]

    assert [job.schema_version for job in jobs] == [FIRST, FIFTH]


def test_a_picture_without_edits_waits_for_such_a_worker_too():
    body = {"model": "tiny", "source": {"prompt": "a cat on a beach"}, "targets": []}

    assert new_job(EditSpec.model_validate(body), lifetime=timedelta(hours=1)).schema_version == FOURTH


def test_a_removal_that_is_chosen_waits_for_such_a_worker_too():
    body = {
        "model": "tiny",
        "source": {"prompt": "a cat and a dog on a beach"},
        "targets": [{"prompt": "a cat on a beach"}],
    }
    job = new_job(explicit(EditSpec.model_validate(body)), lifetime=timedelta(hours=1))

    assert job.schema_version == SECOND
