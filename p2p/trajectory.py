"""The run of a source as a value, which later edits reuse: what it holds, what determines it, and how it is noted.

How an edit of it runs is `p2p.cohort.kept`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from p2p.families.base import ModelFamily
from p2p.families.encoded import Encoded
from p2p.preparation import Prepared, chunks_of, with_defaults
from p2p.samplers.base import Sampler
from p2p.spec import EditSpec, LoraUse, Sampling


@dataclass(frozen=True, kw_only=True)
class Inverted:
    """Of which picture a trajectory is an inversion, and how it was found.

    Attributes:
        method: its name in `p2p.spec.METHODS`.
        picture: a digest of it (`p2p.inversion.encode.digest_of`).
        sampling: the fields of `p2p.spec.Sampling` on which what is found depends; edits must agree in these.
        settings: the method's own, where they are not its defaults.
    """

    method: str
    picture: str
    sampling: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """The run of a source: of a generated one as it went, or of a picture as an inversion found it.

    Attributes:
        key: of all that determines it (`key_of`).
        noise: (1, channels, height, width), what it started from.
        latents: (steps, channels, height, width), after each step, in the run's dtype.
        maps: (steps, tokens, map_height, map_width) float32, of each step, at the maps' level.
        unconditional: what guidance pushes away from, one row, or one for each step; None without guidance, and
            where it is the negative prompt of the edit.
        step_noise: (steps, channels, height, width), what the sampler added on the way; None if it adds none.
            An inverted source's is given to its edits; a generated one's is drawn again, from the seed.
        offset: (steps, channels, height, width), what its edits are moved by after each step; None for nothing.
        inverted: None if the source was generated.
    """

    key: str
    noise: Tensor
    latents: Tensor
    maps: Tensor
    unconditional: Encoded | None = None
    step_noise: Tensor | None = None
    offset: Tensor | None = None
    inverted: Inverted | None = None


def key_of(spec: EditSpec, family: ModelFamily, sampler: Sampler, inverted: Inverted | None = None) -> str:
    """What determines a source's run, as a digest: model, precision, device, sampler, prompt, seed, size.

    Of an inverted source: the picture, the method, and of the sampling only what the method depends on.
    """
    if inverted is not None:
        shape = family.latent_shape(spec.sampling.height, spec.sampling.width)
        return inverted_key(spec.source.prompt, spec.sampling, shape, family, sampler, inverted, spec.loras)
    source = {"prompt": spec.source.prompt}
    # The scheduler that runs is in the digest, whether it was asked for or is the model's own. The order of tokens is
    # the targets': the source has its own.
    sampling = spec.sampling.model_dump(mode="json", exclude={"scheduler", "seeds", "alone", "order"})
    sampling["seed"] = spec.seeds[0]
    # Where its prompts have several chunks, the source's is read in as many, and gives another picture.
    chunks = chunks_of(spec, family)
    further = {"chunks": chunks} if chunks > 1 else {}
    return _digest(family, sampler, source=source, sampling=sampling, **further, **_of_loras(spec.loras, family))


def inverted_key(
    prompt: str,
    sampling: Sampling,
    shape: Sequence[int],
    family: ModelFamily,
    sampler: Sampler,
    inverted: Inverted,
    loras: Sequence[LoraUse] = (),
) -> str:
    """The key of a picture's inversion with a prompt, known before it is made.

    Args:
        shape: channels, height and width of the picture's latents.
    """
    return _digest(
        family,
        sampler,
        source={"prompt": prompt},
        sampling={name: getattr(with_defaults(sampling), name) for name in inverted.sampling},
        shape=list(shape),
        inverted=asdict(inverted),
        **_of_loras(loras, family),
    )


def _of_loras(uses: Sequence[LoraUse], family: ModelFamily) -> dict[str, Any]:
    """What LoRAs add to a key; nothing if there are none, so that older keys stay right."""
    return {"loras": family.loras.digests(uses)} if uses else {}


def _digest(family: ModelFamily, sampler: Sampler, **determined_by) -> str:
    determined_by |= {
        "revision": family.revision,
        "dtype": str(family.dtype),
        "device": family.device.type,
        "scheduler": sampler.described,
    }
    return hashlib.sha256(json.dumps(determined_by, sort_keys=True, default=str).encode()).hexdigest()


class Keeper:
    """Notes a source's run as it goes."""

    def __init__(self, job: Prepared, family: ModelFamily, sampler: Sampler) -> None:
        if job.maps is None:
            raise ValueError("a source is kept with its maps: prepare the job so (`keep=True`)")
        self.job, self.family, self.sampler, self.maps = job, family, sampler, job.maps
        self.latents: list[Tensor] = []
        self.added: list[Tensor | None] = []
        self._stream = job.streams[0].get_state()

    def keep(self, latents: Tensor) -> None:
        """Notes a step that has just been done, by the source's latents after it, (channels, height, width)."""
        self.latents.append(latents.clone())
        self.added.append(self.sampler.drawn(self._stream, self.job.streams[0], self.latents[-1]))
        self._stream = self.job.streams[0].get_state()

    def trajectory(self) -> Trajectory:
        """The whole, after the last step."""
        added = [torch.zeros_like(self.latents[0]) if noise is None else noise for noise in self.added]
        return Trajectory(
            key=key_of(self.job.spec, self.family, self.sampler),
            noise=self.job.noise,
            latents=torch.stack(self.latents),
            maps=torch.stack(self.maps.of_source_by_step),
            unconditional=self.job.unconditional,
            step_noise=torch.stack(added) if any(noise is not None for noise in self.added) else None,
        )
