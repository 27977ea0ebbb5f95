"""Jobs in one forward pass: each is what it is alone, and no neighbour notices the other."""

import pytest
import torch

from p2p.attention import control as attention_control
from p2p.cohort import forward
from p2p.cohort.cohort import Cohort
from p2p.cohort.key import batch_key, rows_of
from p2p.edit import edit, edit_again_steps, edit_batch_steps
from p2p.errors import MixedBatch, NotFinite, P2PError, PromptTooLong, SeveralSeeds, WrongTrajectory
from p2p.inversion import INVERSIONS, invert
from p2p.previews import preview
from p2p.schedulers import SCHEDULERS
from p2p.spec import Sampling
from p2p.stepping import result_of
from tests.cohorts import packed, to_the_end
from tests.short_specs import BLEND, NO_MAPS, OFF, REFINE, SWAP, spec
from tests.stepping import run_through

pytestmark = pytest.mark.needs("latents")


@pytest.fixture(scope="module")
def family(build):
    return packed(build)


def same(one, other) -> bool:
    """Whether two results are bit for bit the same: latents, pictures and maps."""
    return (
        torch.equal(one.latents, other.latents)
        and all(a.tobytes() == b.tobytes() for a, b in zip(one.images, other.images, strict=True))
        and all(
            (a.map == b.map).all() for x, y in zip(one.maps, other.maps, strict=True) for a, b in zip(x, y, strict=True)
        )
    )


def test_jobs_of_every_scheduler_that_join_one_after_the_other_are_each_what_they_are_alone(family):
    specs = [
        spec(BLEND if at % 2 else REFINE, seed=at, steps=3 + at % 3, guidance_scale=[5.0, 1.0, 2.0][at % 3],
             sampling={"scheduler": name})
        for at, name in enumerate(SCHEDULERS)
    ]  # fmt: skip
    cohort, members = Cohort(family), []

    ended = to_the_end(cohort, [lambda made=made: members.append(cohort.join(made)) for made in specs])

    assert all(same(ended.results[member], edit(made, family)) for member, made in zip(members, specs, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_too_jobs_of_every_scheduler_share_a_pass(build, dtype):
    """Some schedulers count in float32."""
    family = packed(lambda: build().to(dtype))
    specs = [spec(BLEND, seed=at, sampling={"scheduler": name}) for at, name in enumerate(SCHEDULERS)]

    for made, together in zip(specs, result_of(edit_batch_steps(specs, family)), strict=True):
        alone = edit(made, family).latents.float()
        # The bound that `docs/attention.md` states of bfloat16.
        assert (together.latents.float() - alone).norm() <= 0.05 * alone.norm()


@pytest.mark.parametrize("method", INVERSIONS)
def test_edits_of_photos_join_jobs_of_other_sources(family, method):
    """Two photos: null-text guides each away from an embedding of its own at every step."""
    sampling = Sampling(steps=4, guidance_scale=5.0, seed=1)
    pictures = torch.randn(2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    settings = {"inner_steps": 2} if method == "null_text" else {}
    found = [
        invert(picture, "a cat on a beach", family, method=method, sampling=sampling, settings=settings).trajectory
        for picture in pictures
    ]
    asked = [spec(BLEND), spec(REFINE, SWAP)]
    alone = [result_of(edit_again_steps(made, family, kept)) for made, kept in zip(asked, found, strict=True)]
    cohort = Cohort(family)
    fresh = cohort.join(spec(SWAP, seed=3))
    cohort.turn()

    members = [cohort.join(made, kept=kept) for made, kept in zip(asked, found, strict=True)]
    results = to_the_end(cohort).results

    assert all(same(results[member], one) for member, one in zip(members, alone, strict=True))
    assert same(results[fresh], edit(spec(SWAP, seed=3), family))


def test_a_kept_source_gives_no_row_once_nothing_is_carried_over(family):
    kept = edit(spec(SWAP, **NO_MAPS), family, keep=True).trajectory
    cohort = Cohort(family)
    cohort.join(spec(SWAP, seed=2))
    again = cohort.join(spec(SWAP | {"cross_window": {"stop": 0.5}}, **NO_MAPS), kept=kept)

    turns = to_the_end(cohort).turns

    assert [turn.rows[again] for turn in turns if turn.part == "denoise"] == [3, 3, 2, 2]


def test_a_member_that_leaves_frees_its_rows_and_its_neighbours_do_not_notice(family):
    cohort = Cohort(family)
    stays, leaves = cohort.join(spec(BLEND, seed=2, steps=5)), cohort.join(spec(REFINE, SWAP, seed=3, steps=5))
    turn = cohort.turn()
    assert sum(turn.rows.values()) == cohort.rows == 4 + 6

    cohort.leave(leaves)
    cohort.leave(leaves)  # canceled twice

    assert cohort.members == (stays,)
    ended = to_the_end(cohort)
    assert sum(ended.turns[0].rows.values()) == 4
    assert same(ended.results[stays], edit(spec(BLEND, seed=2, steps=5), family))


def counted(monkeypatch, module, name: str) -> list:
    """Notes every call of a module's function."""
    calls, made = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a, **k: calls.append(name) or made(*a, **k))
    return calls


def test_rows_are_laid_out_again_only_when_a_job_joins_or_leaves_or_a_window_moves(family, monkeypatch):
    controls = counted(monkeypatch, forward, "AttentionControl")
    layouts = counted(monkeypatch, attention_control, "cross_layout")
    cohort, seen = Cohort(family), []

    def turn():
        before = len(controls), len(layouts)
        cohort.turn()
        seen.append((len(controls) - before[0], len(layouts) - before[1]))

    cohort.join(spec(SWAP | {"cross_window": {"stop": 0.5}}, steps=10))  # its window closes at step 5
    cohort.join(spec(REFINE | {"cross_window": {}}, seed=2, steps=12))
    for number in range(10):
        if number == 2:
            third = cohort.join(spec(SWAP | {"cross_window": {}}, seed=3, steps=12))
        if number == 8:
            cohort.leave(third)
        turn()

    moved, window, nothing = (1, 1), (0, 1), (0, 0)
    assert seen == [moved, nothing, moved, nothing, nothing, window, nothing, nothing, moved, nothing]


def test_an_unconditional_embedding_of_every_step_moves_no_row(family, monkeypatch):
    picture = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    sampling = Sampling(steps=4, guidance_scale=5.0, seed=1)
    settings = {"inner_steps": 1}
    found = invert(picture, "a cat on a beach", family, method="null_text", sampling=sampling, settings=settings)
    whole = {"cross_window": {}, "self_window": {}}
    controls = counted(monkeypatch, forward, "AttentionControl")

    result_of(edit_again_steps(spec(SWAP | whole), family, found.trajectory))

    assert len(controls) == 1


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (spec(SWAP, sampling={"height": 32, "width": 48}), MixedBatch),
        (spec(REFINE | {"prompt": "a cat on a beach" + " red" * 30}, long_prompts="chunks"), MixedBatch),
        (spec({"prompt": "a cat on a beach" + " beach" * 20, "edits": [{"kind": "refine"}]}), PromptTooLong),
        (spec(SWAP, sampling={"seed": 0, "seeds": [1, 2]}), SeveralSeeds),
        (spec(SWAP, loras=[{"id": "none"}]), P2PError),
        (spec(SWAP | {"local_blend": {"mask": {"upload": "img_" + "0" * 32}}}), P2PError),
    ],
    ids=["size", "chunks", "tokens", "seeds", "lora", "mask"],
)
def test_a_job_that_cannot_join_fails_alone(family, asked, error):
    cohort = Cohort(family)
    first = cohort.join(spec(BLEND))
    cohort.turn()

    with pytest.raises(error):
        cohort.join(asked)

    assert same(to_the_end(cohort).results[first], edit(spec(BLEND), family))


def test_a_key_says_before_joining_who_can_be_neighbours(family):
    keys = {
        batch_key(made, family)
        for made in (
            spec(SWAP),
            spec(BLEND, REFINE, steps=9, seed=4, guidance_scale=1.0, sampling={"scheduler": "heun"}),
        )
    }
    other = batch_key(spec(SWAP, sampling={"height": 32, "width": 48}), family)

    assert len(keys) == 1
    assert keys.pop().differences(other) == ("latents of the sizes (4, 16, 16) and (4, 16, 24)",)


@pytest.mark.parametrize("guidance_scale", [5.0, 1.0])
def test_the_rows_that_a_job_will_take_are_known_before_it_joins(family, guidance_scale):
    asked = spec(SWAP, REFINE, guidance_scale=guidance_scale)
    kept = edit(asked, family, keep=True).trajectory
    cohort = Cohort(family)

    assert cohort.join(asked).rows == rows_of(asked, family)
    assert cohort.join(asked, kept=kept).rows == rows_of(asked, family, is_kept=True)
    assert rows_of(spec(SWAP, sampling={"seed": 0, "seeds": [3, -1]}), family) == 2 * rows_of(spec(SWAP), family)


def test_a_job_without_targets_has_nothing_to_denoise(family):
    kept = edit(spec(SWAP), family, keep=True).trajectory
    cohort = Cohort(family)
    with pytest.raises(ValueError, match="add a target"):
        cohort.join(spec(SWAP).model_copy(update={"targets": ()}), kept=kept)

    assert cohort.members == ()


def test_a_wrong_kept_source_ends_the_job_that_brought_it(family):
    kept = edit(spec(SWAP), family, keep=True).trajectory
    cohort = Cohort(family)
    with pytest.raises(WrongTrajectory):
        cohort.join(spec(SWAP, seed=2), kept=kept)

    assert cohort.members == ()
    assert cohort.key is None


@pytest.mark.parametrize("fault", ["not finite", "raises"])
def test_a_job_whose_own_step_fails_ends_alone(family, fault):
    cohort = Cohort(family)
    good, bad = cohort.join(spec(BLEND, seed=2)), cohort.join(spec(REFINE, seed=3))
    cohort.turn()
    sampler = bad.run.sampler
    step = sampler.step

    def failing(*args):
        if fault == "raises":
            raise RuntimeError("its own scheduler")
        return step(*args) * float("nan")

    sampler.step = failing

    ended = to_the_end(cohort)

    assert isinstance(ended.errors[bad], NotFinite if fault == "not finite" else RuntimeError)
    assert ended.turns[0].errors.keys() == {bad}
    assert bad not in ended.turns[1].rows
    assert same(ended.results[good], edit(spec(BLEND, seed=2), family))


def test_jobs_that_end_together_are_decoded_together(family, monkeypatch):
    decoded, decode = [], family.pipeline.vae.decode
    monkeypatch.setattr(family.pipeline.vae, "decode", lambda rows, **k: decoded.append(len(rows)) or decode(rows, **k))
    specs = [spec(SWAP, seed=2), spec(REFINE, BLEND, seed=3), spec(SWAP, seed=4, steps=6)]
    cohort = Cohort(family)
    members = [cohort.join(made) for made in specs]

    results = to_the_end(cohort).results

    assert decoded == [5, 2]
    monkeypatch.undo()
    assert all(same(results[member], edit(made, family)) for member, made in zip(members, specs, strict=True))


def test_pictures_that_cannot_be_made_end_their_job_alone(family, monkeypatch):
    decode = family.pipeline.vae.decode
    specs = [spec(SWAP, seed=seed) for seed in (2, 3, 4)]
    alone = [edit(made, family) for made in specs]
    broken = alone[1].latents[0] / family.pipeline.vae.config.scaling_factor

    def failing(rows, **options):
        made = decode(rows, **options)
        for row, picture in zip(rows, made[0], strict=True):
            if torch.equal(row, broken):
                picture[:] = float("nan")
        return made

    monkeypatch.setattr(family.pipeline.vae, "decode", failing)
    cohort = Cohort(family)
    members = [cohort.join(made) for made in specs]

    ended = to_the_end(cohort)

    assert isinstance(ended.errors.pop(members[1]), NotFinite)
    assert not ended.errors
    assert same(ended.results[members[0]], alone[0])
    assert same(ended.results[members[2]], alone[2])


def in_pieces(family, pieces: int):
    """A last stage that takes as long as some steps; with the real pictures."""
    finish = family.finish

    def stage(latents, rows):
        for _ in range(pieces):
            yield rows[0].run
        return (yield from finish(latents, rows))

    return stage


def test_while_a_job_is_finished_piece_by_piece_its_neighbours_go_on(family, monkeypatch):
    monkeypatch.setattr(family, "finish", in_pieces(family, 3))
    cohort = Cohort(family)
    cohort.join(spec(SWAP, seed=2, steps=2))
    cohort.join(spec(REFINE, seed=3, steps=4))

    parts = [turn.part for turn in to_the_end(cohort).turns]

    step, piece = "denoise", "decode"
    assert parts == [step, step, piece, step, piece, step, piece, piece, piece, piece, piece, piece]


def test_a_job_can_leave_while_it_is_finished(family, monkeypatch):
    monkeypatch.setattr(family, "finish", in_pieces(family, 2))
    cohort = Cohort(family)
    leaves, stays = cohort.join(spec(SWAP, seed=2)), cohort.join(spec(SWAP, seed=3))
    while cohort.turn().part == "denoise":
        pass

    cohort.leave(leaves)
    ended = to_the_end(cohort)

    assert ended.results.keys() == {stays}
    assert all(turn.rows.keys() == {stays} for turn in ended.turns)


def test_if_all_that_are_finished_leave_the_work_is_stopped(family, monkeypatch):
    monkeypatch.setattr(family, "finish", in_pieces(family, 2))
    cohort = Cohort(family)
    member = cohort.join(spec(SWAP))
    while cohort.turn().part == "denoise":
        pass

    cohort.leave(member)

    assert cohort.members == ()
    with pytest.raises(ValueError, match="without members"):
        cohort.turn()


def test_the_models_own_attention_is_in_place_between_turns(family):
    before = dict(family.network.attn_processors)
    cohort = Cohort(family)
    cohort.join(spec(BLEND))
    cohort.turn()

    assert family.network.attn_processors == before


def test_an_inversion_between_turns_changes_nothing(family):
    """Inversions with gradients run by themselves."""
    picture = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    cohort = Cohort(family)
    member = cohort.join(spec(BLEND))
    cohort.turn()
    invert(picture, "a cat", family, method="null_text", sampling=Sampling(steps=2, guidance_scale=3.0))

    assert same(to_the_end(cohort).results[member], edit(spec(BLEND), family))


def test_each_members_step_can_be_previewed(family):
    cohort = Cohort(family)
    members = [cohort.join(spec(SWAP, seed=2)), cohort.join(spec(REFINE, SWAP, seed=3))]
    turn = cohort.turn()

    assert [len(preview(turn.steps[member], family)) for member in members] == [2, 3]


def test_a_source_is_kept_beside_others_as_it_is_alone(family):
    cohort = Cohort(family)
    cohort.join(spec(SWAP, seed=2, sampling={"scheduler": "euler_ancestral"}))
    member = cohort.join(spec(REFINE, sampling={"scheduler": "ddpm"}), keep=True)
    kept = to_the_end(cohort).results[member].trajectory
    alone = edit(spec(REFINE, sampling={"scheduler": "ddpm"}), family, keep=True).trajectory

    for name in ("noise", "latents", "maps", "step_noise"):
        assert torch.equal(getattr(kept, name), getattr(alone, name)), name


def test_specs_of_one_batch_may_have_other_steps_and_schedulers(family):
    specs = [spec(SWAP | OFF, seed=2, steps=3), spec(BLEND, seed=3, steps=5, sampling={"scheduler": "euler"})]

    steps, results = run_through(edit_batch_steps(specs, family))

    assert [(step.index, step.num_steps) for step in steps] == [(index, 5) for index in range(5)]
    assert torch.equal(steps[-1].latents, torch.cat([result.latents for result in results]))
    assert torch.equal(steps[-1].latents[:2], steps[2].latents[:2])  # the shorter run keeps its last latents
    assert steps[-1].clean().shape == steps[-1].latents.shape
    assert all(same(result, edit(made, family)) for result, made in zip(results, specs, strict=True))
