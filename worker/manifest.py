"""What was done and with what, so that it can be done again."""

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from p2p.edit import EditResult
from service.jobs.catalogue import ModelDeclaration
from service.jobs.model import Job
from worker.photo import InvertedPhoto

#: Packages whose version can change a picture.
_PACKAGES = ("torch", "diffusers", "transformers", "tokenizers", "numpy", "pillow")


def manifest(
    result: EditResult,
    job: Job,
    declaration: ModelDeclaration,
    *,
    revision: str,
    source_was_kept: bool = False,
    photo: InvertedPhoto | None = None,
) -> dict[str, Any]:
    """The manifest of a finished run. Posting its `spec` to the same revision gives the same pictures."""
    of_photo = {} if photo is None else {"image": photo.described(job.spec)}
    made = "inverted" if photo is not None and photo.reconstruction.inversion == "made" else "kept"
    return {
        "job": job.id,
        "execution": job.execution,
        "attempt": job.attempt,
        "model": {"id": declaration.id, "family": declaration.family, "revision": revision},
        "seed": job.spec.sampling.seed,
        "scheduler": result.scheduler,
        "source": made if source_was_kept else "generated",
        **of_photo,
        "spec": job.spec.model_dump(mode="json"),
        "prompts": [
            {"picture": index, "prompt": prompt.prompt, "words": [asdict(word) for word in prompt.words()]}
            for index, prompt in enumerate(result.prompts)
        ],
        "seconds": {part: round(seconds, 4) for part, seconds in result.seconds.items()},
        "versions": {"python": platform.python_version(), **_versions()},
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a slimmer image; what is not there had no part in the result
            continue
    return found
