"""The models that are measured: the built-in one, and architectures with random weights in folders."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The two sides, by the id of their model: the same files, and `max_rows` on one of them.
SERIAL, BATCHED = "serial", "batched"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model at a size.

    Attributes:
        jobs: how many are posted at once, a row of the report each.
        steps: of each job; the model's default where None.
        max_rows: of the batched side. A guided pair has four.
        stream: how many jobs come as a Poisson stream.
        pairs: how often each side is measured, in turn.
    """

    model: str
    size: int
    jobs: Sequence[int]
    max_rows: int
    stream: int
    pairs: int
    steps: int | None = None

    def edit(self, side: str, seed: int) -> dict[str, Any]:
        """A guided pair."""
        return {
            "model": side,
            "source": {"prompt": "a cat on a beach"},
            "targets": [{"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}],
            "sampling": {"seed": seed, **({} if self.steps is None else {"steps": self.steps})},
            "artifacts": {"heatmaps": False},
        }


SCENES = Case(model="scenes", size=64, jobs=(2, 8), max_rows=32, stream=24, pairs=3)
CASES: Mapping[str, Sequence[Case]] = {
    "cpu": (SCENES,),
    "cuda": (
        Case(model="sd15", size=512, jobs=(8,), max_rows=32, stream=16, pairs=2),
        Case(model="sdxl", size=1024, jobs=(4,), max_rows=16, stream=8, pairs=1),
    ),
}
QUICK = (Case(model="scenes", size=64, jobs=(4,), max_rows=16, stream=3, pairs=1, steps=4),)

_FAMILIES = {"scenes": "stable_diffusion", "sd15": "stable_diffusion", "sdxl": "stable_diffusion_xl"}


def models_file(case: Case, folder: Path) -> Path:
    """A models file with both sides; the weights of an architecture are written beside it."""
    if case.model == "scenes":
        path = Path("scenes/model").absolute()
    else:
        path = folder / case.model
        _write(case.model, path)
    file = folder / "models.toml"
    file.write_text("\n".join(_declared(case, side, path) for side in (SERIAL, BATCHED)), encoding="utf-8")
    return file


def _write(name: str, path: Path) -> None:
    """Writes an architecture with random weights."""
    # Here, for it takes seconds, and the built-in model needs none of it.
    import torch

    from benchmarks.random_weights import random_pipeline
    from benchmarks.random_weights_xl import random_xl_pipeline

    where = torch.device("cpu")
    pipeline = random_xl_pipeline(where) if name == "sdxl" else random_pipeline(name, where)
    pipeline.save_pretrained(path)


def _declared(case: Case, side: str, path: Path) -> str:
    default = "steps = 20, guidance_scale = 3.0" if case.model == "scenes" else "steps = 50, guidance_scale = 7.5"
    lines = [
        "[[models]]",
        f'id = "{side}"',
        f"path = {json.dumps(str(path))}",
        f'family = "{_FAMILIES[case.model]}"',
        f"sizes = [[{case.size}, {case.size}]]",
        f"defaults = {{ {default} }}",
        "limits = { max_steps = 100, max_targets = 8 }",
    ]
    if side == BATCHED:
        lines.insert(2, f"max_rows = {case.max_rows}")
    return "\n".join(lines) + "\n"
