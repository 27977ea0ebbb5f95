"""LoRAs that an edit asks for: there for its run alone, and no trace of them afterwards."""

import logging

import pytest
import torch

from p2p.cohort.cohort import Cohort
from p2p.edit import edit, edit_again_steps, edit_batch_steps, edit_steps
from p2p.errors import MixedBatch, UnknownLora, UnsupportedModel, UnsupportedSampling, WrongTrajectory
from p2p.families.loras import put_beside
from p2p.families.packed import pack
from p2p.inversion import invert
from p2p.spec import LoraUse
from p2p.stepping import result_of
from tests import families, lora_files
from tests.cohorts import to_the_end
from tests.short_specs import NO_MAPS, REFINE, SWAP, spec

pytestmark = pytest.mark.needs("latents")


FIRST, SECOND = {"id": "first"}, {"id": "se.cond", "weight": 0.6}


@pytest.fixture(scope="module")
def files(build, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("loras")
    first = lora_files.saved(folder / "first.safetensors", lora_files.trained(build()))
    second = lora_files.saved(folder / "second.safetensors", lora_files.trained(build(), seed=2, text=False))
    return {"first": str(first), "se.cond": str(second)}


@pytest.fixture
def fresh(build, files):
    """Makes a family that has not run anything yet."""

    def made():
        family = families.of(build())
        family.loras.files.update(files)
        return family

    return made


def asked(*loras: dict, **extra):
    return spec(SWAP, loras=loras, **NO_MAPS, **extra)


def latents(family, *loras: dict) -> torch.Tensor:
    return edit(asked(*loras), family).latents


@pytest.mark.parametrize(
    "order",
    [[(FIRST,), ()], [(), (FIRST,)], [(FIRST,), (), (FIRST,)], [(FIRST,), (SECOND,), (SECOND, FIRST), ()]],
    ids=["with, without", "without, with", "with, without, with", "several"],
)
def test_each_job_has_the_pictures_of_a_fresh_worker_bit_for_bit(fresh, order):
    worker = fresh()

    for loras in order:
        assert torch.equal(latents(worker, *loras), latents(fresh(), *loras))


def test_a_lora_changes_the_source_and_the_target(fresh):
    plain, drawn = latents(fresh()), latents(fresh(), FIRST)

    for before, after in zip(plain, drawn, strict=True):
        assert (after - before).norm() > 1e-2 * before.norm()


def test_weight_nothing_is_the_model_without_it(fresh):
    # W x + 0 is W x.
    torch.testing.assert_close(latents(fresh(), FIRST | {"weight": 0}), latents(fresh()), rtol=0, atol=1e-6)


def test_what_follows_with_the_same_lora_does_not_read_it_again(fresh):
    family = fresh()

    for weight in (1, 0.5, 1):
        latents(family, FIRST | {"weight": weight})
        latents(family)
    assert family.loras.loaded == 1

    latents(family, SECOND)
    latents(family, FIRST)
    assert family.loras.loaded == 3  # one set at a time is kept


def test_a_run_that_is_canceled_leaves_the_model_as_it_was(fresh):
    family, before = fresh(), latents(fresh())
    steps = edit_steps(asked(FIRST), family)
    next(steps)
    steps.close()

    assert torch.equal(latents(family), before)


@pytest.mark.parametrize("loras", [(FIRST,), (FIRST, SECOND), (SECOND | {"weight": -0.7},)], ids=["one", "two", "less"])
def test_fused_for_a_run_is_beside_the_weights(fresh, loras):
    family, beside = fresh(), fresh()
    for index, lora in enumerate(loras):
        put_beside(beside.pipeline, beside.loras.files[lora["id"]], f"beside_{index}")
    names = [f"beside_{index}" for index in range(len(loras))]
    beside.pipeline.set_adapters(names, [lora.get("weight", 1.0) for lora in loras])

    fused, unfused = latents(family, *loras), latents(beside)

    # The bound that was promised; W x + B A x and (W + B A) x differ by rounding.
    assert (fused - unfused).norm() <= 1e-5 * unfused.norm()
    assert (fused - latents(family)).norm() > 1e-2 * unfused.norm()


def test_a_models_own_weights_are_the_very_same_after_a_run_and_stay_packed(fresh):
    family = fresh()
    pack(family.network)
    latents(family)
    layers = [layer for layer in family.network.modules() if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]
    before = [(layer.weight, layer.weight.detach().clone(), getattr(layer, "packed", None)) for layer in layers]

    latents(family, FIRST)

    assert any(packed is not None for *_, packed in before)
    for layer, (weight, values, packed) in zip(layers, before, strict=True):
        assert layer.weight is weight
        assert torch.equal(weight, values)
        assert getattr(layer, "packed", None) is packed


@pytest.mark.parametrize("through_data", [False, True], ids=["in place", "through data"])
def test_a_run_with_loras_sees_what_has_become_of_the_models_weights(fresh, through_data):
    family, other = fresh(), fresh()
    latents(family, FIRST)
    for each in (family, other):
        weight = each.network.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn1.to_q").weight
        with torch.no_grad():
            if through_data:
                weight.data *= 1.5
            else:
                weight.mul_(1.5)

    assert torch.equal(latents(family, FIRST), latents(other, FIRST))
    assert not torch.equal(latents(family, FIRST), latents(fresh(), FIRST))


def test_a_lora_that_leaves_the_text_encoder_as_it_is_warns_of_nothing(fresh, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)  # as in a worker

    latents(fresh(), SECOND)

    assert caplog.records == []


def test_a_lora_that_is_not_offered_is_refused_by_name(fresh):
    with pytest.raises(UnknownLora, match=r"no LoRA 'third': choose one of first, se\.cond"):
        latents(fresh(), {"id": "third"})


def test_a_lora_of_another_model_is_refused_and_the_model_stays_whole(fresh, tmp_path):
    other = families.PIPELINES["stable_diffusion"](unet={"cross_attention_dim": 12, "block_out_channels": (12, 12, 12)})
    foreign = lora_files.saved(tmp_path / "foreign.safetensors", lora_files.trained(other, text=False))
    family = fresh()
    family.loras.files["foreign"] = str(foreign)

    with pytest.raises(UnsupportedModel, match=r"foreign\.safetensors"):
        latents(family, {"id": "foreign"})
    assert torch.equal(latents(family), latents(fresh()))
    assert torch.equal(latents(family, FIRST), latents(fresh(), FIRST))


def test_a_kept_source_is_another_one_with_a_lora_and_with_another_weight(fresh):
    family = fresh()
    kept = edit(asked(FIRST), family, keep=True).trajectory

    again = result_of(edit_again_steps(asked(FIRST), family, kept)).latents
    # The parity bound of an edit of a kept source.
    assert (again - latents(family, FIRST)).norm() <= 1e-4 * again.norm()
    for others in ((), (FIRST | {"weight": 0.5},), (SECOND,)):
        with pytest.raises(WrongTrajectory):
            result_of(edit_again_steps(asked(*others), family, kept))


def test_a_photo_is_inverted_with_the_loras_of_its_edits(fresh):
    family, picture = fresh(), torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    uses = (LoraUse(id="first"),)
    sampling = asked().sampling
    plain = invert(picture, "a cat on a beach", family, sampling=sampling).trajectory
    drawn = invert(picture, "a cat on a beach", family, sampling=sampling, loras=uses).trajectory

    assert plain.key != drawn.key
    assert not torch.equal(plain.noise, drawn.noise)
    result_of(edit_again_steps(asked(FIRST), family, drawn))
    with pytest.raises(WrongTrajectory):
        result_of(edit_again_steps(asked(FIRST), family, plain))


def test_specs_with_different_loras_share_no_batch(fresh):
    with pytest.raises(MixedBatch, match="LoRAs"):
        next(edit_batch_steps([asked(FIRST), asked()], fresh()))


def test_another_run_between_a_cohorts_turns_has_its_own_loras_and_so_has_the_cohort(fresh):
    family, plain = fresh(), latents(fresh())
    alone = latents(fresh(), FIRST)
    cohort = Cohort(family)
    member = cohort.join(asked(FIRST))
    cohort.turn()

    assert torch.equal(latents(family), plain)
    assert torch.equal(latents(family, SECOND), latents(fresh(), SECOND))
    assert torch.equal(to_the_end(cohort).results[member].latents, alone)
    assert torch.equal(latents(family), plain)


def test_runs_that_take_turns_have_each_their_own_loras_whichever_ends_first(fresh):
    """A paused inversion or edit beside a cohort: neither is the other's context."""
    alone = {uses: latents(fresh(), *map(dict, uses)) for uses in ((), (tuple(SECOND.items()),))}
    for uses, expected in alone.items():
        for paused_first in (True, False):
            family = fresh()
            cohort, paused = Cohort(family), edit_steps(asked(FIRST, steps=3 if paused_first else 6), family)
            next(paused)
            member, results = cohort.join(asked(*map(dict, uses))), {}
            while cohort.members:
                results.update(cohort.turn().results)
                next(paused, None)
            (other,) = result_of(paused) if not paused_first else (None,)

            assert torch.equal(results[member].latents, expected)
            if other is not None:
                assert torch.equal(other.latents, edit(asked(FIRST, steps=6), fresh()).latents)
            assert torch.equal(latents(family), alone[()])


@pytest.mark.parametrize("ends", ["leaves", "closed", "fails to join"])
def test_the_loras_of_a_cohort_go_with_its_last_member(fresh, ends):
    family, plain = fresh(), latents(fresh())
    cohort = Cohort(family)
    if ends == "fails to join":
        with pytest.raises(UnsupportedSampling):
            cohort.join(asked(FIRST, steps=60, sampling={"scheduler": "lcm"}))
    else:
        member = cohort.join(asked(FIRST))
        cohort.turn()
        cohort.leave(member) if ends == "leaves" else cohort.close()

    assert cohort.key is None
    assert torch.equal(latents(family), plain)
    assert cohort.join(asked(SECOND)).key.loras == (LoraUse(**SECOND),)


def test_the_result_says_what_it_was_drawn_with(fresh, files):
    (said,) = edit(asked(SECOND), fresh()).loras

    assert (said["id"], said["weight"], len(said["sha256"])) == ("se.cond", 0.6, 64)


def test_null_text_needs_no_gradient_of_a_loras_weights(fresh):
    family, picture = fresh(), torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    sampling = asked().sampling.model_copy(update={"steps": 2})
    invert(
        picture, "a cat", family, method="null_text", sampling=sampling, settings={"inner_steps": 1},
        loras=(LoraUse(id="first"),),
    )  # fmt: skip

    assert not any(weight.requires_grad for weight in family.network.parameters())


def test_an_edit_without_a_lora_asks_for_none(fresh):
    assert edit(spec(REFINE, **NO_MAPS), fresh()).loras == ()
