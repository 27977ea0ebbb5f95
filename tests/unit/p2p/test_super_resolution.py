"""The last stage of models of pixels: small pictures are made large, and what no edit changed stays equal."""

from collections.abc import Generator

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler
from PIL import Image

from p2p.cohort.cohort import Cohort
from p2p.edit import edit, edit_steps
from p2p.errors import MixedBatch, UnsupportedModel
from p2p.families import load
from p2p.families.base import DrawnFrom, Finishing, to_images
from p2p.families.deepfloyd_if import DeepFloydIF
from p2p.families.encoded import Encoded
from p2p.families.if_stage import IFStage
from p2p.families.super_resolution import larger
from p2p.families.unclip import UnCLIP
from p2p.families.upscaler_stage import UpscalerStage
from p2p.inversion import invert
from p2p.inversion.fidelity import fidelity
from p2p.layouts import LAYOUTS
from p2p.layouts.checks import described
from p2p.layouts.footprint import number_of_weights
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.reach import Reach
from p2p.sampling import noise_streams
from p2p.spec import Sampling
from p2p.stepping import result_of
from tests import tiny_if, tiny_unclip, tiny_upscaler
from tests.short_specs import BLEND, NO_MAPS, REFINE, SWAP, spec


def deepfloyd() -> DeepFloydIF:
    pipeline = tiny_if.pipeline()
    family = DeepFloydIF(pipeline)
    family.enlarge_by(IFStage(tiny_if.second_stage(pipeline), small=32, steps=2))
    return family


def upscaled() -> DeepFloydIF:
    """Stable Diffusion's upscaler in the place of the second stage."""
    family = DeepFloydIF(tiny_if.pipeline())
    family.enlarge_by(UpscalerStage(tiny_upscaler.pipeline(), steps=2))
    return family


def unclip() -> UnCLIP:
    return UnCLIP(tiny_unclip.pipeline())


@pytest.fixture(params=[deepfloyd, upscaled, unclip], ids=["deepfloyd_if", "upscaler", "unclip"])
def family(request):
    return request.param()


def drawn_from(family, *runs: int) -> list[DrawnFrom]:
    text, away = family.encode_prompts(["a cat"]), family.encode_negative("")
    return [DrawnFrom(text, away, seed=5 + run, run=run, prompt="a cat") for run in runs]


def pixels_of(steps: Generator[None, None, torch.Tensor]) -> tuple[int, torch.Tensor]:
    """How often a stage stopped in between, and what it made."""
    stops = 0
    while True:
        try:
            next(steps)
            stops += 1
        except StopIteration as end:
            return stops, end.value


def small(family, rows: int) -> torch.Tensor:
    return torch.rand(rows, *family.latent_shape(None, None), generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_rows_of_a_run_that_are_equal_stay_equal_and_others_do_not(family):
    pixels = small(family, 1).repeat(3, 1, 1, 1)
    pixels[2] = -pixels[2]
    _, large = pixels_of(family.finish(pixels, drawn_from(family, 0, 0, 0)))

    assert large.shape[-1] == pixels.shape[-1] * family.stages[0].factor
    assert torch.equal(large[0], large[1])
    assert not torch.equal(large[0], large[2])


def test_a_run_is_the_same_picture_alone_and_beside_another_one(family):
    pixels = small(family, 2)
    both = drawn_from(family, 0, 1)
    _, together = pixels_of(family.finish(pixels, both))

    for place, row in enumerate(both):
        _, alone = pixels_of(family.finish(pixels[place : place + 1], [row]))
        assert torch.equal(together[place : place + 1], alone)


def test_a_small_picture_is_what_the_large_one_is_made_of(family):
    small, large = ((reach.side,) * 2 for reach in family.reaches)
    made = {
        size: edit(spec(REFINE, steps=2, sampling=dict(zip(("height", "width"), size, strict=True)), **NO_MAPS), family)
        for size in (small, large)
    }

    assert [made[size].images[1].size for size in (small, large)] == [small, large]
    assert torch.equal(made[small].latents, made[large].latents)
    assert made[small].images == to_images(family.decode(made[small].latents))
    assert (family.finishing(*small), family.finishing(*large).factor) == (Finishing(), family.stages[0].factor)


def test_pictures_of_other_sizes_do_not_share_a_batch_though_their_latents_would_fit(family):
    with Cohort(family) as cohort:
        first, second = (
            spec(REFINE, sampling={"height": reach.side, "width": reach.side}, **NO_MAPS) for reach in family.reaches
        )
        cohort.join(first)
        with pytest.raises(MixedBatch, match=r"pixels of a picture along one cell of its latents of 1 and [24]"):
            cohort.join(second)


def test_what_a_mask_bounds_is_found_on_the_grid_of_the_small_pixels(family):
    side, upload = family.reaches[-1].side, "img_" + "0" * 32
    white = Image.new("L", (side, side))
    white.paste(255, (0, 0, side, side // 2))
    wanted = spec(SWAP | {"local_blend": {"mask": {"upload": upload}, "start": 0}}, steps=2)

    (mask,) = edit(wanted, family, masks={upload: white}).masks

    assert mask.shape == family.latent_shape(None, None)[1:]
    assert mask[: len(mask) // 2].all()
    assert not mask[len(mask) // 2 :].any()


def test_outside_of_a_blend_by_words_the_large_picture_is_its_source(family):
    made = edit(spec(BLEND | {"local_blend": BLEND["local_blend"] | {"start": 0}}, steps=2), family)

    source, edited = (np.asarray(image) for image in made.images)
    kept = np.asarray(made.masks[0]) == 0  # its edge is soft
    assert kept.shape == source.shape[:2]
    assert 0 < kept.mean() < 1
    assert np.array_equal(source[kept], edited[kept])
    assert not np.array_equal(source, edited)


def test_a_photo_is_compared_with_its_small_pixels_at_its_own_size(family):
    side = family.reaches[-1].side
    photo = Image.linear_gradient("L").resize((side, side)).convert("RGB")
    found = invert(photo, "a cat", family, method="direct", sampling=Sampling(steps=2, scheduler="ddim"))

    # Of a gradient, shrinking and enlarging loses next to nothing.
    assert fidelity(photo, found, family).psnr > 25


def test_it_can_be_left_after_each_step(family):
    stops, _ = pixels_of(family.finish(small(family, 1), drawn_from(family, 0)))

    assert stops == family.finishing(None, None).steps == family.stages[0].steps


def test_its_steps_are_counted_on_from_those_of_the_run_for_every_seed_of_it(family):
    wanted, larger = spec(REFINE, **NO_MAPS), family.finishing(None, None).steps
    sampling = wanted.sampling.model_copy(update={"seed": None, "seeds": (3, 4), "steps": 2})
    steps = list(edit_steps(wanted.model_copy(update={"sampling": sampling}), family))

    assert [step.index + 1 + step.finished for step in steps] == [*range(1, 2 + 2 * larger + 1)]
    assert {step.num_steps + step.finishing for step in steps} == {2 + 2 * larger}


def test_a_job_is_left_within_a_step_of_it_and_the_next_one_is_whole(family):
    wanted = spec(REFINE, steps=2, **NO_MAPS)
    whole = edit(wanted, family)
    with Cohort(family) as cohort:
        member = cohort.join(wanted)
        turns = [cohort.turn().part for _ in range(3)]
        cohort.leave(member)
        assert (turns, cohort.members) == (["denoise", "denoise", "decode"], ())

    assert edit(wanted, family).images == whole.images
    assert whole.images[0].size == (family.reaches[-1].side,) * 2


def test_the_work_on_a_job_that_leaves_ends_and_its_neighbour_has_the_picture_that_it_has_alone(family, monkeypatch):
    stays = spec(SWAP, steps=2, **NO_MAPS)
    alone, stage = edit(stays, family), family.stages[0]
    larger = family.finishing(None, None).steps
    called: list[int] = []
    predicted = stage.predicted
    monkeypatch.setattr(stage, "predicted", lambda *given: called.append(1) or predicted(*given))
    with Cohort(family) as cohort:
        leaves, member = cohort.join(spec(REFINE, steps=2, **NO_MAPS)), cohort.join(stays)
        while not leaves.finished:
            cohort.turn()
        cohort.leave(leaves)
        before, results = len(called) - member.finished, {}
        while cohort.members:
            results.update(cohort.turn().results)

    assert (before, len(called)) == (1, 1 + larger)
    for made, wanted in zip(results[member].images, alone.images, strict=True):
        # Other rows of a step are rounded otherwise: a level of 256 may tip.
        assert np.abs(np.asarray(made).astype(int) - np.asarray(wanted)).max() <= 1


def test_a_stage_of_deepfloyd_if_is_the_plain_pipeline():
    pipeline = tiny_if.pipeline()
    family, further = DeepFloydIF(pipeline), tiny_if.second_stage(pipeline)
    pixels, rows = small(family, 2), drawn_from(family, 0, 0)
    ours = result_of(larger(pixels, rows, IFStage(further, small=32, steps=2), seed=7))

    text, away = rows[0].text.context, rows[0].unconditional.context
    plain = further(
        image=pixels,
        height=64,
        width=64,
        prompt_embeds=text.expand(2, -1, -1),
        negative_prompt_embeds=away.expand(2, -1, -1),
        num_inference_steps=2,
        guidance_scale=4.0,
        noise_level=250,
        generator=noise_streams(7, 2),
        output_type="pt",
    ).images
    assert (ours - plain).norm() < 1e-5 * plain.norm()  # the texts are joined in another order


@pytest.fixture
def saved(tmp_path):
    """A model of DeepFloyd IF's layout, and the folder of a further stage."""
    first = tiny_if.pipeline()
    further = tiny_if.second_stage(first)
    first.save_pretrained(tmp_path / "first")
    further.register_modules(text_encoder=None, tokenizer=None)
    further.save_pretrained(tmp_path / "second")
    return str(tmp_path / "first"), str(tmp_path / "second")


def test_the_upscaler_is_the_plain_pipeline():
    pipeline = tiny_upscaler.pipeline()
    family, rows = DeepFloydIF(tiny_if.pipeline()), ["a cat on a beach", "a red dog"]
    pixels, (text, away) = small(family, 2), (family.encode_prompts([""]), family.encode_negative(""))
    drawn = [DrawnFrom(text, away, seed=0, prompt=prompt, negative_prompt="a car") for prompt in rows]
    ours = result_of(larger(pixels, drawn, UpscalerStage(pipeline, steps=2), seed=7))

    streams = noise_streams(7, 2)  # of which ours takes the latents first
    latents = torch.cat([torch.randn((1, 4, *pixels.shape[2:]), generator=stream) for stream in streams])
    plain = pipeline(
        rows,
        image=pixels / 2 + 0.5,
        num_inference_steps=2,
        negative_prompt=["a car"] * 2,
        generator=streams,
        latents=latents,
        output_type="latent",
    ).images
    decoded = pipeline.vae.decode(plain / pipeline.vae.config.scaling_factor).sample.detach()
    assert (ours - decoded).norm() < 1e-5 * decoded.norm()  # the texts are encoded beside each other


def test_the_upscaler_reads_a_prompt_whole_that_its_text_encoder_reads_in_two():
    stage = UpscalerStage(tiny_upscaler.pipeline(limit=24))
    text = Encoded(torch.zeros(1, 77, 32))
    pixels = torch.zeros(1, 3, 32, 32)
    short, long = (
        stage.begun(pixels, noise_streams(1, 1), [DrawnFrom(text, None, seed=1, prompt=prompt)]).conditioning
        for prompt in ("a red cat", "a red cat " * 10)
    )

    assert [each.texts.context.shape[1] for each in (short, long)] == [24, 48]
    assert (short.guided, len(short.texts)) == ((), 1)  # nothing to be guided away from, as in the run


def test_three_sizes_of_one_model_are_made_by_as_many_stages(saved, tmp_path):
    first, second = saved
    tiny_upscaler.pipeline().save_pretrained(tmp_path / "third", variant="fp16")
    family = load("deepfloyd_if", ModelFiles(first, stages=(second, str(tmp_path / "third"))))
    for stage in family.stages:
        stage.steps = 1

    assert [reach.side for reach in family.reaches] == [32, 64, 256]
    for further, reach in enumerate(family.reaches):
        sampling = {"height": reach.side, "width": reach.side}
        made = edit(spec(SWAP, steps=2, sampling=sampling, **NO_MAPS), family)
        assert {image.size for image in made.images} == {(reach.side, reach.side)}
        assert family.finishing(reach.side, reach.side) == (further, reach.factor)
        assert np.asarray(made.images[0]).std() > 0


def test_an_upscaler_with_another_scheduler_is_refused_by_name():
    pipeline = tiny_upscaler.pipeline()
    pipeline.scheduler = EulerDiscreteScheduler()

    with pytest.raises(UnsupportedModel, match="scheduler is EulerDiscreteScheduler, and the upscaler handles DDIM"):
        UpscalerStage(pipeline)


def test_further_stages_that_a_models_file_names_are_loaded_with_the_model(saved):
    first, second = saved
    alone, further = ModelFiles(first), ModelFiles(first, stages=(second,))
    one, both = (load("deepfloyd_if", files) for files in (alone, further))

    assert [family.reaches for family in (one, both)] == [[Reach(1, 32)], [Reach(1, 32), Reach(2, 64)]]
    assert both.latent_shape(64, 64) == one.latent_shape(32, 32)
    assert one.revision != both.revision  # a kept source has pictures of another size
    weights = sum(weight.numel() for weight in both.stages[0].network.parameters())
    assert counted(further) == counted(alone) + weights


def counted(files: ModelFiles) -> int:
    """The weights of a model of DeepFloyd IF's layout, by its files."""
    layout = LAYOUTS["deepfloyd_if"]
    return number_of_weights(layout, files, described(layout, files)) or 0


def test_a_stage_that_makes_nothing_larger_is_refused_by_name(saved):
    first, second = saved

    with pytest.raises(UnsupportedModel, match="pictures of 64x64 pixels larger, and its own are no larger"):
        load("deepfloyd_if", ModelFiles(first, stages=(second, second)))


def test_a_first_stage_in_the_place_of_a_further_one_is_refused_by_name():
    pipeline = tiny_if.pipeline()

    with pytest.raises(UnsupportedModel, match=r"unet has in_channels 3 \(that of the first stage\)"):
        IFStage(pipeline, small=32)
