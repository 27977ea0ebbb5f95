"""What was done and with what, so that it can be done again."""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from jobs.catalogue import ModelDeclaration
from jobs.model import Job
from p2p.edit import EditResult
from worker.edited import Edited
from worker.photo import InvertedPhoto
from worker.usage import Stretch

#: Packages whose version can change a picture.
_PACKAGES = ("torch", "diffusers", "transformers", "peft", "tokenizers", "numpy", "pillow")


def manifest(
    results: Sequence[EditResult],
    edited: Edited,
    declaration: ModelDeclaration,
    *,
    revision: str,
    encoding: float = 0.0,
    turns: Sequence[Stretch] = (),
) -> dict[str, Any]:
    """The manifest of a finished job. Posting its `spec` to the same revision gives the same pictures.

    Args:
        results: of each of its seeds.
        encoding: seconds that writing the pictures as files took.
        turns: that its runs took part in, with the rows and the number of all jobs in them; never whose they were.
    """
    result, job = results[0], edited.job
    return {
        "job": job.id,
        "execution": job.execution,
        "attempt": job.attempt,
        "model": {
            "id": declaration.id,
            "family": declaration.family,
            "revision": revision,
            **({"loras": list(result.loras)} if result.loras else {}),
        },
        **(_sources(results, edited) if edited.photo is None else _of_photo(edited.photo, job)),
        "scheduler": result.scheduler,
        "spec": job.spec.model_dump(mode="json"),
        **({"chosen": [each.model_dump(mode="json") for each in job.chosen]} if job.chosen else {}),
        **_additions(results),
        "prompts": [
            {"picture": index, "prompt": prompt.prompt, "words": [asdict(word) for word in prompt.words()]}
            for index, prompt in enumerate(result.prompts)
        ],
        "seconds": {part: round(each, 4) for part, each in {**_seconds(results), "pictures": encoding}.items()},
        **({"turns": [asdict(stretch) for stretch in turns]} if turns else {}),
        "versions": {"python": platform.python_version(), **_versions()},
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _additions(results: Sequence[EditResult]) -> dict[str, Any]:
    """Of each thing that was added, whether the rest was kept or the layout made anew; nothing if none was."""
    found = [
        {"seed": each.seed, "picture": picture, "layout": "anew" if anew else "kept"}
        for each in results
        for picture, anew in enumerate(each.anew, start=1)
        if anew is not None
    ]
    return {"additions": found} if found else {}


def _sources(results: Sequence[EditResult], edited: Edited) -> dict[str, Any]:
    """Which noise each source was made from, and whether it was made in this run."""
    sources = [{"seed": each.seed, "source": "kept" if each.seed in edited.kept else "generated"} for each in results]
    return sources[0] if edited.job.spec.sampling.seeds is None else {"seeds": sources}


def _of_photo(photo: InvertedPhoto, job: Job) -> dict[str, Any]:
    """Which picture was edited, and whether its run was found in this job."""
    made = "inverted" if photo.reconstruction.inversion == "made" else "kept"
    return {"seed": job.spec.seeds[0], "source": made, "image": photo.described(job.spec)}


def _seconds(results: Sequence[EditResult]) -> dict[str, float]:
    """Of the parts of all runs; seeds that shared a run hold its very clock."""
    clocks = list({id(result.seconds): result.seconds for result in results}.values())
    return {part: sum(clock[part] for clock in clocks) for part in clocks[0]}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a slimmer image; what is not there had no part in the result
            continue
    return found
