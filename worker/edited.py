"""What a job edits, found and ready: its sources, its photo, its masks."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from jobs.model import Job
from p2p.trajectory import Trajectory
from worker.events import Event
from worker.masks import Masks, masks_of
from worker.moderation import Judge
from worker.photo import FetchImage, InvertedPhoto, inverted_photo, photo_of
from worker.sampler import Sampler

#: Looks the run of a source up by its digest; None if it is not kept.
FindSource = Callable[[str], Trajectory | None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Edited:
    """A job with all that its run needs beside the model.

    Attributes:
        kept: runs of sources that are known already, by their seeds.
        photo: the picture that is edited, with its run; None if the source is generated.
    """

    job: Job
    kept: Mapping[int, Trajectory]
    masks: Masks
    photo: InvertedPhoto | None = None


def edited_by(
    job: Job, sampler: Sampler, judge: Judge, find: FindSource, fetch: FetchImage
) -> Generator[Event, None, Edited]:
    """What a job edits; a photo whose run is not kept is inverted on the way.

    Raises:
        NotAllowed: the photo must not be shown.
        NoPhoto: a picture or a mask cannot be had.
    """
    if job.spec.source.image is None:
        return Edited(job=job, kept=_kept(job, sampler, find), masks=masks_of(job.spec, None, fetch))
    photo, seed = photo_of(job.spec, fetch), job.spec.seeds[0]
    judge.judge_pictures(job, (photo.whole,), seed)
    masks = masks_of(job.spec, photo, fetch)
    inverted = yield from inverted_photo(job.spec, photo, sampler, find)
    return Edited(job=job, kept={seed: inverted.trajectory}, masks=masks, photo=inverted)


def _kept(job: Job, sampler: Sampler, find: FindSource) -> Mapping[int, Trajectory]:
    """The kept sources of a job, by their seeds: each seed's is another source.

    Of a job that runs alone none: a kept source's edits may differ by rounding. And none of one without edits: a kept
    source has nothing left to do, and a picture is what such a job asks for.
    """
    if job.spec.sampling.alone or not job.spec.targets:
        return {}
    digests = {seed: sampler.source_of(job.spec.of_seeds(seed)) for seed in job.spec.seeds}
    found = {seed: find(digest) for seed, digest in digests.items()}
    return {seed: trajectory for seed, trajectory in found.items() if trajectory is not None}
