"""A job in an in-memory plane, and a sampler that paints nothing."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.catalogue import load_catalogue
from jobs.model import new_job
from jobs.testing import InMemoryJobStore, InMemoryKeptSources, MemoryStorage, RecordingQueue
from p2p.edit import EditResult, WordMap
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec
from p2p.tokens import tokenize
from p2p.trajectory import Trajectory
from tests import tiny
from worker.drain import Drain
from worker.engine import Engine

SPEC = {
    "model": "tiny",
    "source": {"prompt": "a cat on a/b"},
    "targets": [
        {"prompt": "a dog on a/b", "edits": [{"kind": "replace"}]},
        {"prompt": "a cat on a/b at 你好", "edits": [{"kind": "refine"}]},
    ],
    "sampling": {"seed": 5, "steps": 4, "guidance_scale": 3.0, "height": 32, "width": 48},
}


def source_of(seed: int) -> str:
    """What the source of a seed is called."""
    return f"of the source {seed}"


#: The source of `SPEC`.
KEPT = Trajectory(
    key=source_of(5), noise=torch.zeros(1, 4, 2, 2), latents=torch.zeros(4, 4, 2, 2), maps=torch.zeros(4, 24, 2, 2)
)


def painted(spec: EditSpec) -> Generator[DenoisingStep, None, tuple[EditResult, ...]]:
    """Every step of a spec; returns grey pictures for each seed. A word's map is a slope."""
    assert spec.sampling.steps
    for index in range(spec.sampling.steps):
        yield DenoisingStep(index, spec.sampling.steps, torch.zeros(1), clean=lambda: torch.zeros(1))
    slope = np.linspace(0, 0.5, 16, dtype=np.float32).reshape(4, 4)
    prompts = [tokenize(prompt, tiny.tokenizer()) for prompt in spec.prompts]
    maps = [tuple(WordMap(word.word, word.occurrence, word.tokens, slope) for word in p.words()) for p in prompts]
    clock = {"encode": 0.1, "denoise": 2.0, "decode": 0.3}
    return tuple(
        EditResult(
            images=tuple(Image.new("RGB", (48, 32), (90, 120, 150)) for _ in spec.prompts),
            latents=torch.zeros(1),
            prompts=tuple(prompts),
            maps=tuple(maps),
            noise=torch.zeros(1),
            seconds=clock,
            trajectory=replace(KEPT, key=source_of(seed)) if spec.artifacts.trajectory else None,
            scheduler="ddim",
            seed=seed,
        )
        for seed in spec.seeds
    )


class PaintingSampler:
    """`worker.sampler.Sampler` that paints nothing, and remembers from what."""

    def __init__(self) -> None:
        self.started_from: list[Trajectory | None] = []
        self.ran: list[tuple[tuple[int, ...], Trajectory | None]] = []
        self.masks: list[Mapping[str, Image.Image]] = []

    def source_of(self, spec: EditSpec) -> str:
        assert spec.sampling.seeds is None, "the seeds of a spec are sources of their own"
        return source_of(spec.sampling.seed)

    def steps(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[DenoisingStep, None, tuple[EditResult, ...]]:
        self.started_from.append(kept)
        self.masks.append(masks)
        self.ran.append((spec.seeds, kept))
        return painted(spec)

    def preview(self, step: DenoisingStep) -> Sequence[Image.Image]:
        return [Image.new("RGB", (24, 16), (step.index * 40, index * 40, 0)) for index in range(3)]


@pytest.fixture
def plane(tiny_models) -> SimpleNamespace:
    """An in-memory plane that holds one queued job."""
    job = new_job(EditSpec.model_validate(SPEC), lifetime=timedelta(hours=1))
    store = InMemoryJobStore()
    store.create(job)
    return SimpleNamespace(
        job=job,
        store=store,
        storage=MemoryStorage(),
        sources=InMemoryKeptSources(),
        queue=RecordingQueue(),
        drain=Drain(timedelta(0)),
        pauses=[],
        declaration=load_catalogue(tiny_models)["tiny"],
    )


@pytest.fixture
def sampler() -> PaintingSampler:
    return PaintingSampler()


@pytest.fixture
def engine(plane, sampler) -> Engine:
    """An engine whose sampler paints nothing."""
    return Engine(sampler, plane.declaration, revision="sha256:0123")
