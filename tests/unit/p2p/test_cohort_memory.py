"""Memory that is short costs a cohort time and no job: a pass is split, and the same step is done again."""

import gc
import logging
import weakref

import pytest
import torch

from p2p.attention.control import AttentionControl
from p2p.cohort.cohort import Cohort
from p2p.edit import edit
from tests.cohorts import packed, to_the_end
from tests.short_specs import BLEND, NO_MAPS, REFINE, SWAP, spec
from tests.unit.p2p.test_cohort import same

pytestmark = pytest.mark.needs("latents")


@pytest.fixture(scope="module")
def family(build):
    return packed(build)


class Short:
    """A network that holds so many rows at a time.

    Attributes:
        calls: the rows of every call that was made, and whether they fitted.
    """

    def __init__(self, network, monkeypatch, most: int, error: Exception) -> None:
        self.most, self.error, self.calls, self._forward = most, error, [], network.forward
        # Late, when some layers have read maps already.
        last = network.conv_norm_out
        monkeypatch.setattr(last, "forward", self._failing(last.forward))

    def _failing(self, forward):
        def called(sample, *args, **kwargs):
            self.calls.append((len(sample), len(sample) <= self.most))
            if len(sample) > self.most:
                raise self.error
            return forward(sample, *args, **kwargs)

        return called


SPECS = (
    spec(BLEND, seed=1, steps=3, sampling={"scheduler": "unipc"}),
    spec(REFINE, seed=2, steps=3, sampling={"scheduler": "euler_ancestral"}),
    spec(SWAP, seed=3, steps=3, sampling={"scheduler": "heun"}),  # five calls
    spec(SWAP, REFINE, seed=4, steps=3, guidance_scale=1.0, sampling={"scheduler": "dpm_solver_multistep"}),
)
OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_what_does_not_fit_together_is_done_in_parts_and_nobody_notices(family, monkeypatch, caplog, error):
    alone = [edit(made, family) for made in SPECS]
    short = Short(family.network, monkeypatch, 6, error)
    cohort = Cohort(family)
    members = [cohort.join(made) for made in SPECS]
    with caplog.at_level(logging.WARNING):
        ended = to_the_end(cohort)

    assert not ended.errors
    assert all(same(ended.results[member], one) for member, one in zip(members, alone, strict=True))
    assert caplog.text.count("do not fit into memory") == 2  # then the limit is known
    assert [rows for rows, fits in short.calls if not fits] == [15, 7]


def test_every_member_does_one_step_in_a_turn_that_was_split(family, monkeypatch):
    Short(family.network, monkeypatch, 4, MemoryError())
    cohort = Cohort(family)
    members = [cohort.join(made) for made in SPECS]
    turn = cohort.turn()

    assert {member: step.index for member, step in turn.steps.items()} == dict.fromkeys(members, 0)
    assert not turn.errors


def test_a_job_that_does_not_fit_by_itself_ends_alone(family, monkeypatch):
    small, large = spec(SWAP, seed=1), spec(SWAP, REFINE, BLEND, seed=2)
    alone = edit(small, family)
    Short(family.network, monkeypatch, 4, MemoryError())
    cohort = Cohort(family)
    fits, too_large = cohort.join(small), cohort.join(large)

    ended = to_the_end(cohort)

    assert isinstance(ended.errors[too_large], MemoryError)
    assert ended.turns[0].errors.keys() == {too_large}
    assert same(ended.results[fits], alone)


def test_an_error_that_holds_on_to_nothing_is_given_out(family, monkeypatch):
    """A traceback would keep all activations of the pass that failed."""
    Short(family.network, monkeypatch, 1, MemoryError())
    cohort = Cohort(family)
    member = cohort.join(spec(SWAP))

    frame, held = cohort.turn().errors[member].__traceback__, []
    while frame is not None:
        held += [value for value in frame.tb_frame.f_locals.values() if isinstance(value, torch.Tensor)]
        frame = frame.tb_next

    assert not held


def test_a_pass_that_failed_lets_go_of_what_its_layers_had_read(family, monkeypatch):
    """Else nothing would be free for the parts."""
    texts, found = [], AttentionControl.text_projections
    monkeypatch.setattr(
        AttentionControl, "text_projections", lambda self, *a: texts.append(weakref.ref(self)) or found(self, *a)
    )
    Short(family.network, monkeypatch, 1, MemoryError())
    cohort = Cohort(family)
    cohort.join(spec(REFINE))
    error = cohort.turn().errors

    gc.collect()
    assert error
    assert texts
    assert not any(control() is not None for control in texts)


def test_an_empty_cohort_forgets_that_memory_was_short(family, monkeypatch):
    with monkeypatch.context() as patched:
        Short(family.network, patched, 4, MemoryError())
        cohort = Cohort(family)
        for made in SPECS:
            cohort.join(made)
        to_the_end(cohort)
    short = Short(family.network, monkeypatch, 100, MemoryError())
    for made in SPECS:
        cohort.join(made)
    cohort.turn()

    assert short.calls == [(15, True)]


def test_an_error_of_a_shared_pass_ends_the_job_that_it_is_of(family, monkeypatch):
    """Found by halves, whatever the error; the others do the same step again."""
    good = [spec(SWAP, seed=seed) for seed in (1, 2, 3)]
    alone = [edit(made, family) for made in good]
    first, forward = family.network.conv_in, family.network.conv_in.forward

    def failing(rows):
        if any(float(row.flatten()[0]) == 7 for row in rows):
            raise ValueError("this job")
        return forward(rows)

    monkeypatch.setattr(first, "forward", failing)
    cohort = Cohort(family)
    members = [cohort.join(made) for made in good]
    poison = cohort.join(spec(REFINE, seed=4), noise=torch.full((1, 4, 16, 16), 7.0))

    ended = to_the_end(cohort)

    assert isinstance(ended.errors.pop(poison), ValueError)
    assert not ended.errors
    assert all(same(ended.results[member], one) for member, one in zip(members, alone, strict=True))
    assert ended.turns[1].rows.keys() == set(members)


def test_pictures_that_do_not_fit_together_are_made_one_job_after_the_other(family, monkeypatch):
    decode, sizes = family.pipeline.vae.decode, []
    specs = [spec(SWAP, seed=seed, **NO_MAPS) for seed in (1, 2, 3)]
    alone = [edit(made, family) for made in specs]

    def short(rows, **options):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise MemoryError
        return decode(rows, **options)

    monkeypatch.setattr(family.pipeline.vae, "decode", short)
    cohort = Cohort(family)
    members = [cohort.join(made) for made in specs]
    ended = to_the_end(cohort)

    assert sizes == [6, 4, 2, 2, 2]
    assert all(same(ended.results[member], one) for member, one in zip(members, alone, strict=True))


@pytest.mark.parametrize("part", ["network", "vae"])
def test_a_lost_device_is_no_jobs_error_and_ends_all(family, monkeypatch, part):
    def lost(*args, **kwargs):
        raise torch.AcceleratorError("unspecified launch failure", 719)

    if part == "network":
        monkeypatch.setattr(family.network, "forward", lost)
    else:
        monkeypatch.setattr(family.pipeline.vae, "decode", lost)
    cohort = Cohort(family)
    for made in SPECS[:2]:
        cohort.join(made)

    with pytest.raises(torch.AcceleratorError):
        to_the_end(cohort)
    cohort.close()
