"""Where nothing is edited, models of pixels are the plain pipelines."""

import pytest
import torch

from p2p.edit import edit
from p2p.families.deepfloyd_if import DeepFloydIF
from p2p.families.unclip import UnCLIP
from p2p.sampling import noise_streams
from tests import tiny_if, tiny_unclip
from tests.short_specs import NO_MAPS, OFF, REFINE, SWAP, spec

PROMPTS = ["a cat on a beach", SWAP["prompt"], REFINE["prompt"]]


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).norm() / other.norm()).item()


def nothing(**sampling):
    return spec(SWAP | OFF, REFINE | OFF, steps=3, guidance_scale=3.0, sampling=sampling, **NO_MAPS)


def test_deepfloyd_if_without_an_edit_is_the_plain_pipeline():
    pipeline = tiny_if.pipeline()
    plain = pipeline(
        PROMPTS,
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=noise_streams(1, 3),
        output_type="pt",
        clean_caption=False,
    ).images

    # The pipeline encodes the negative prompt once for each prompt, we once: that is rounded otherwise.
    assert apart(edit(nothing(), DeepFloydIF(pipeline)).latents, plain) < 2e-6


def test_prompts_of_deepfloyd_if_are_read_in_lower_case_and_words_stay_where_they_are_written():
    family = DeepFloydIF(tiny_if.pipeline())
    upper, lower = family.encode_prompts(["A Red CAT"]), family.encode_prompts(["a red cat"])

    assert torch.equal(upper.context, lower.context)
    assert upper.context.shape[1] == 77
    made = edit(spec({"prompt": "a DOG on a beach", "edits": [{"kind": "replace"}]}, steps=2), family)
    assert [word.word for word in made.maps[1]] == ["a", "DOG", "on", "a", "beach"]


class _Stopped(Exception):
    pass


def test_unclip_without_an_edit_is_the_plain_pipeline(monkeypatch):
    """The pipeline draws the prior's noise from the seed too; here it is given the family's."""
    pipeline = tiny_unclip.pipeline()
    family = UnCLIP(pipeline)
    family.settings["prior"] = {"steps": 3, "guidance_scale": 4.0, "seed": 0}
    ours = edit(nothing(), family).latents

    of_prior, drawn = noise_streams(0, 3), []
    start = torch.cat([torch.randn(1, tiny_unclip.WIDTH, generator=stream) for stream in of_prior])
    own, decoded = pipeline.prior_scheduler.step, pipeline.decoder_scheduler.step

    def of_family(*args, generator, **named):
        return own(*args, generator=of_prior, **named)

    def noted(*args, **named):
        drawn.append(decoded(*args, **named))
        return drawn[-1]

    def stop(*_, **__):
        raise _Stopped

    monkeypatch.setattr(pipeline.prior_scheduler, "step", of_family)
    monkeypatch.setattr(pipeline.decoder_scheduler, "step", noted)
    monkeypatch.setattr(pipeline.super_res_scheduler, "set_timesteps", stop)
    with pytest.raises(_Stopped):
        pipeline(
            PROMPTS,
            prior_num_inference_steps=3,
            decoder_num_inference_steps=3,
            decoder_guidance_scale=3.0,
            prior_latents=start,
            generator=noise_streams(1, 3),
        )

    # Rounded as above. The first step is at timestep 999, whose signal of 5e-5 multiplies it by 20,000: 2.7e-4 here.
    assert apart(ours, drawn[-1].prev_sample) < 1e-3
