"""The token sampler against diffusers' own scheduler, and the noise of a photo in hindsight."""

import math

import pytest
import torch
from diffusers import AmusedScheduler

from p2p.errors import UnsupportedSampling
from p2p.samplers.token_noise import Drawn, drawn_of, found_noise, hindsight, kept, stacked
from p2p.samplers.tokens import TokenSampler
from p2p.sampling import noise_streams

CODEBOOK, MASKED, SIDE = 20, 23, 6


def sampler(steps: int = 4, order: str = "own", schedule: str = "cosine") -> TokenSampler:
    scheduler = AmusedScheduler(mask_token_id=MASKED, masking_schedule=schedule)
    scheduler.set_timesteps(steps)
    return TokenSampler(scheduler, torch.device("cpu"), order)


def logits(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, CODEBOOK, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 12])
def test_each_row_is_what_the_scheduler_makes_of_it_alone(steps, schedule):
    ours, streams = sampler(steps, schedule=schedule), noise_streams(5, 3)
    state = ours.state(ours.start((1, SIDE, SIDE), streams).expand(3, -1, -1, -1))
    stock, alone = state[:, 0].clone(), noise_streams(5, 3)
    for index in range(steps):
        said = logits(3, index)
        state = ours.step(said, index, state, streams)
        steps_alone = [
            ours.scheduler.step(said[row : row + 1], ours.timestep(index), stock[row : row + 1], generator=alone[row])
            for row in range(3)
        ]
        stock = torch.cat([each.prev_sample for each in steps_alone])
        assert torch.equal(state[:, 0], stock)
        assert torch.equal(
            ours.clean(state, said, index)[:, 0], torch.cat([e.pred_original_sample for e in steps_alone])
        )


def test_where_all_is_known_one_token_is_masked_again_as_the_scheduler_has_it():
    """A blend can bring a target there before the last step."""
    ours, known = sampler(), torch.arange(SIDE * SIDE).view(1, 1, SIDE, SIDE) % CODEBOOK

    after = ours.step(logits(1), 0, known, noise_streams(1, 1))
    stock = ours.scheduler.step(logits(1), ours.timestep(0), known[:, 0], generator=noise_streams(1, 1)[0]).prev_sample

    assert torch.equal(after[:, 0], stock)
    assert (after == MASKED).sum() == 1


def test_rows_that_expect_the_same_draw_the_same():
    ours, streams = sampler(), noise_streams(3, 2)
    state = ours.start((1, SIDE, SIDE), streams).expand(2, -1, -1, -1)
    one = logits(1)

    first, second = ours.step(torch.cat([one, one]), 0, state, streams)

    assert torch.equal(first, second)


def test_in_the_order_of_the_source_targets_are_masked_where_it_is():
    ours, streams = sampler(order="source"), noise_streams(3, 3)
    state = ours.start((1, SIDE, SIDE), streams).expand(3, -1, -1, -1)

    after = ours.step(logits(3), 0, state, streams)

    assert all(torch.equal(after[row] == MASKED, after[0] == MASKED) for row in range(3))
    assert torch.equal(after[:1], sampler().step(logits(3), 0, state, noise_streams(3, 3))[:1])


@pytest.mark.parametrize("order", ["source", "held"])
def test_a_source_that_is_not_among_the_rows_gives_the_same_order(order):
    both, streams = logits(2), noise_streams(3, 2)
    state = torch.full((2, 1, SIDE, SIDE), MASKED)
    together = sampler(order=order).step(both, 0, state, streams)

    alone = sampler(order=order).step(both[1:], 0, state[1:], noise_streams(3, 1), source=together[:1])

    assert torch.equal(alone, together[1:])


def test_tokens_that_are_held_are_the_sources_unless_the_target_all_but_rules_them_out(monkeypatch):
    """The race is even: then a target takes another token if it expects that more than 20 times as much."""
    source, state = logits(1), torch.full((2, 1, SIDE, SIDE), MASKED)
    likely = source.argmax(1, keepdim=True)
    other = (likely + 1) % CODEBOOK
    lead = torch.full((1, 1, SIDE, SIDE), math.log(19.0))
    lead[..., SIDE // 2 :] = math.log(21.0)
    target = torch.zeros_like(source).scatter(1, likely, 5.0).scatter(1, other, 5.0 + lead)

    ours = sampler(1, order="held")
    monkeypatch.setattr(ours, "_draw", lambda *_: Drawn(torch.ones(SIDE * SIDE, CODEBOOK), None))
    after = ours.step(torch.cat([source, target]), 0, state, noise_streams(3, 2))

    assert torch.equal(after[0, 0], likely[0, 0])
    assert torch.equal(after[1, 0, :, : SIDE // 2], likely[0, 0, :, : SIDE // 2])
    assert torch.equal(after[1, 0, :, SIDE // 2 :], other[0, 0, :, SIDE // 2 :])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_tokens_stay_whole_numbers_whatever_the_precision_of_the_logits(dtype):
    ours, streams = sampler(), noise_streams(3, 1)

    after = ours.step(logits(1).to(dtype), 0, ours.start((1, SIDE, SIDE), streams), streams)

    assert after.dtype == torch.int64


@pytest.mark.parametrize("noise", [torch.zeros(1, 1, SIDE, SIDE), torch.zeros(1, 4, SIDE, SIDE, dtype=torch.int64)])
def test_a_starting_noise_of_latents_is_refused(noise):
    with pytest.raises(UnsupportedSampling, match="leave it out, the seed decides all"):
        sampler().state(noise)


def test_hindsight_noise_draws_the_tokens_it_was_found_for():
    race = drawn_of(noise_streams(0, 1)[0], 500, CODEBOOK, last=True).race
    probabilities = (torch.randn(500, CODEBOOK, generator=torch.Generator().manual_seed(1)) * 4).softmax(-1)
    tokens = torch.randint(CODEBOOK, (500,), generator=torch.Generator().manual_seed(2))

    found = hindsight(race, probabilities, tokens)

    assert torch.equal((probabilities / found).argmax(-1), tokens)


def test_hindsight_noise_of_what_the_model_draws_is_exponential_again():
    stream = noise_streams(0, 1)[0]
    probabilities = (torch.randn(1, CODEBOOK, generator=torch.Generator().manual_seed(1))).softmax(-1).expand(20000, -1)
    tokens = torch.multinomial(probabilities, 1, generator=torch.Generator().manual_seed(9))[:, 0]

    found = hindsight(drawn_of(stream, 20000, CODEBOOK, last=True).race, probabilities, tokens)

    # Of 400,000 numbers: the mean of an exponential's is within 0.0016, its variance within 0.0045 (one deviation).
    assert found.mean().item() == pytest.approx(1, abs=0.008)
    assert found.var().item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("tolerance", [0.0, 0.01, 1.0])
def test_kept_noise_draws_the_tokens_too_and_is_near_to_the_whole(tolerance):
    race = drawn_of(noise_streams(0, 1)[0], 300, CODEBOOK, last=True).race
    probabilities = (torch.randn(300, CODEBOOK, generator=torch.Generator().manual_seed(1)) * 4).softmax(-1)
    tokens = torch.randint(CODEBOOK, (300,), generator=torch.Generator().manual_seed(2))
    whole = hindsight(race, probabilities, tokens)
    other = kept(race, whole, tokens, 0.5)

    again = found_noise(race, stacked([kept(race, whole, tokens, tolerance), other])[:1])

    assert torch.equal((probabilities / again).argmax(-1), tokens)
    assert ((whole - again) <= max(tolerance, 1e-9) * race).all()


def test_a_token_of_no_probability_is_drawn_all_the_same():
    ours, said = sampler(1), logits(1)
    said[:, 7] = -1e4
    tokens = torch.full((1, 1, SIDE, SIDE), 7)
    state = torch.full_like(tokens, MASKED)
    _, noise = ours.way_back().step(said, 0, state, tokens, noise_streams(4, 1)[0], 0.01)

    drawn = ours.step(said, 0, state, noise_streams(4, 1), stacked([noise]))

    assert torch.equal(drawn, tokens)


def test_kept_noise_has_its_places_in_pictures_of_any_size():
    """Beyond 2 ** 24 entries, where float32 has no place of its own for each."""
    positions, codebook = 2100, 8192
    race = torch.ones(positions, codebook)
    found, tokens = race.clone(), torch.full((positions,), codebook - 1)
    found[-1, -3:] = torch.tensor([2.0, 3.0, 0.25])

    again = found_noise(race, stacked([kept(race, found, tokens, 0.01)]))

    assert torch.equal(again, found)
