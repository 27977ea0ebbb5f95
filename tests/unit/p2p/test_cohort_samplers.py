"""The loop asks a sampler, and knows no state: grids of whole numbers and flows run in it like Gaussian latents."""

import pytest
import torch

from p2p.cohort.cohort import Cohort
from p2p.edit import edit
from p2p.samplers.gaussian import GaussianSampler
from tests.cohorts import packed, to_the_end
from tests.short_specs import BLEND, REFINE, SWAP, spec
from tests.unit.p2p.test_cohort import same

pytestmark = pytest.mark.needs("latents")


class Flow(GaussianSampler):
    """Straight lines from noise to picture; its timesteps are no whole numbers."""

    def __init__(self, steps: int) -> None:
        self.name, self.num_steps = "flow", steps
        self._sigmas = torch.linspace(1, 0, steps + 1)

    described = "flow"

    def state(self, start):
        return start

    def timestep(self, index):
        return self._sigmas[index] * 987.3

    def seen(self, state, index):
        return state

    def step(self, prediction, index, state, streams, noise=None):
        return state + (self._sigmas[index + 1] - self._sigmas[index]) * prediction

    def clean(self, seen, prediction, index):
        return seen - self._sigmas[index] * prediction


class Grid(Flow):
    """Whole numbers, some of which each step draws anew from the row's own stream."""

    def state(self, start):
        return (start * 40).long()

    def timestep(self, index):
        return torch.tensor(self.num_steps - index)

    def seen(self, state, index):
        return state.float() / 40

    def step(self, prediction, index, state, streams, noise=None):
        drawn = torch.stack([torch.rand(state.shape[1:], generator=stream) for stream in streams])
        return torch.where(drawn < 0.5, (prediction * 40).long(), state)

    def clean(self, seen, prediction, index):
        return (prediction * 40).long()


SAMPLERS = {"euler": Flow, "ddpm": Grid}


@pytest.fixture
def family(build, monkeypatch):
    made = packed(build)
    own, decoded = made.sampler, made._decoded
    kinds = lambda steps, name, shape: SAMPLERS[name](steps) if name in SAMPLERS else own(steps, name, shape)  # noqa: E731
    monkeypatch.setattr(made, "sampler", kinds)
    monkeypatch.setattr(made, "_decoded", lambda latents, runs=None: decoded(latents.float(), runs))
    return made


def test_runs_of_any_kind_of_state_are_each_what_they_are_alone(family):
    specs = [
        spec(made, seed=seed, steps=3 + seed, sampling={"scheduler": name})
        for seed, (made, name) in enumerate([(BLEND, "euler"), (REFINE, "ddim"), (SWAP, "euler"), (REFINE, "heun")])
    ]
    cohort = Cohort(family)
    members = [cohort.join(made) for made in specs]
    results = to_the_end(cohort).results

    assert all(same(results[member], edit(made, family)) for member, made in zip(members, specs, strict=True))


def test_a_state_of_whole_numbers_stays_one(family):
    specs = [spec(made, seed=seed, sampling={"scheduler": "ddpm"}) for seed, made in enumerate([BLEND, REFINE])]
    cohort = Cohort(family)
    members = [cohort.join(made) for made in specs]
    turn = cohort.turn()

    assert {step.latents.dtype for step in turn.steps.values()} == {torch.int64}
    assert {turn.steps[member].clean().dtype for member in members} == {torch.int64}
    results = to_the_end(cohort).results
    assert all(same(results[member], edit(made, family)) for member, made in zip(members, specs, strict=True))
