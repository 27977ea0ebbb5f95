"""The source of a job whose picture was not generated: fetched, fitted, and its run found or reused."""

import io
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from jobs.errors import ArtifactNotFound, StorageUnavailable
from jobs.images import image_key
from jobs.model import Reconstruction
from jobs.provenance import CREDENTIALS_CHUNK
from jobs.storage import ObjectStorage
from p2p.inversion.fidelity import Fidelity
from p2p.inversion.source_run import InversionStep
from p2p.spec import Direct, EditSpec
from p2p.stepping import made_of
from p2p.trajectory import Trajectory
from p2p.trajectory_file import dumped
from worker.events import Event, Failed, Inverted, Progress, Reconstructed, Waiting
from worker.fitting import Fitting, fitting_of
from worker.sampler import Sampler

#: Gives a file of a picture by its key.
FetchImage = Callable[[str], bytes]


class NoPhoto(Exception):
    """The picture that a job edits cannot be had.

    Attributes:
        failure: how the job ends.
    """

    def __init__(self, failure: Failed) -> None:
        super().__init__(failure.message)
        self.failure = failure


def no_images(key: str) -> bytes:
    """`FetchImage` where there are none."""
    raise NoPhoto(Failed(code="image_gone", message="the picture is not there any more: send it and the edit again"))


def image_from(storage: ObjectStorage) -> FetchImage:
    """`FetchImage` over the storage that the API puts pictures into."""

    def fetch(key: str) -> bytes:
        try:
            return storage.read(key)
        except ArtifactNotFound:
            return no_images(key)
        except StorageUnavailable as error:
            message = "the picture could not be fetched from the storage: send the edit again"
            raise NoPhoto(Failed(code=error.code, message=message)) from error

    return fetch


@dataclass(frozen=True, eq=False, kw_only=True)
class Photo:
    """A picture that is edited.

    Attributes:
        whole: as it was sent.
        picture: of the model's size.
        credentials: that its file came with, as an ingredient's archive; None if it had none.
    """

    whole: Image.Image
    picture: Image.Image
    fitting: Fitting
    credentials: bytes | None = None

    def back(
        self, edited: Image.Image, bound: Image.Image | None = None, shown: Image.Image | None = None
    ) -> Image.Image:
        """A picture of the model's in the size of the one that was sent.

        Args:
            bound: white where it may differ from that; None for everywhere.
            shown: mode L, of the model's size: how much of the edit there is; None for all of it.
        """
        whole = self.fitting.back(edited, self.whole, shown)
        return whole if bound is None else Image.composite(whole, self.whole, bound)


def photo_of(spec: EditSpec, fetch: FetchImage) -> Photo:
    """The picture that a spec edits; raises `NoPhoto`."""
    named, sampling = spec.source.image, spec.sampling
    if named is None or named.upload is None or sampling.width is None or sampling.height is None:
        raise ValueError("the service settles a job's picture and size before it is queued")
    with Image.open(io.BytesIO(fetch(image_key(named.upload)))) as file:
        whole = file.convert("RGB")
        chunks = getattr(file, "private_chunks", ())
    fitting = fitting_of(whole.size, (sampling.width, sampling.height), named.fit)
    credentials = next((data for name, data, *_ in chunks if name == CREDENTIALS_CHUNK), None)
    return Photo(whole=whole, picture=fitting.seen(whole), fitting=fitting, credentials=credentials)


@dataclass(frozen=True, eq=False, kw_only=True)
class InvertedPhoto:
    """A picture whose run is known.

    Attributes:
        fidelity: how faithfully it comes back, with the picture that does.
        steps: how many steps of the job that took: none if the run was kept.
        cost: of the inversion, in rows through the UNet and seconds.
    """

    photo: Photo
    trajectory: Trajectory
    fidelity: Fidelity
    reconstruction: Reconstruction
    steps: int
    cost: dict[str, Any]

    def described(self, spec: EditSpec) -> dict[str, Any]:
        """What the manifest says of it."""
        inversion, fitting, named = spec.inversion or Direct(), self.photo.fitting, spec.source.image
        return {
            "upload": named and named.upload,
            "size": list(fitting.size),
            "fit": named and named.fit,
            "box": list(fitting.of_picture),
            "box_of_model": list(fitting.of_model),
            "inversion": {"method": inversion.method, "settings": inversion.settings, **self.cost},
            "reconstruction": self.reconstruction.model_dump(),
        }


def inverted_photo(
    spec: EditSpec, photo: Photo, sampler: Sampler, find: Callable[[str], Trajectory | None]
) -> Generator[Event, None, InvertedPhoto]:
    """Finds a picture's run: a kept one, or by inverting it, step by step. What it says of itself is yielded."""
    source = sampler.inversion_of(spec, photo.picture)
    trajectory, steps = find(source), 0
    cost: dict[str, Any] = {"unet_evaluations": 0, "unet_gradients": 0, "seconds": {}}
    was_kept = trajectory is not None
    if trajectory is None:
        edit_steps = (spec.sampling.steps or 0) + sampler.finishing_steps(spec) if spec.targets else 0

        def progress(step: InversionStep) -> Iterator[Event]:
            nonlocal steps
            steps = step.num_steps  # of the whole inversion, which only its steps say
            yield Progress(step=step.index + 1, steps=steps + edit_steps)
            yield Waiting()

        found = yield from made_of(sampler.invert(spec, photo.picture), progress)
        trajectory = found.trajectory
        cost = {
            "unet_evaluations": found.unet_evaluations,
            "unet_gradients": found.unet_gradients,
            "seconds": {part: round(seconds, 4) for part, seconds in found.seconds.items()},
        }
    fidelity = sampler.fidelity(photo.picture, trajectory)
    reconstruction = _reconstruction(fidelity, was_kept=was_kept)
    if not was_kept:
        yield Inverted(
            source=source,
            data=dumped(trajectory),
            reconstruction=reconstruction,
            unet_evaluations=cost["unet_evaluations"],
        )
    yield Reconstructed(reconstruction=reconstruction)
    return InvertedPhoto(
        photo=photo, trajectory=trajectory, fidelity=fidelity, reconstruction=reconstruction, steps=steps, cost=cost
    )


def _reconstruction(fidelity: Fidelity, *, was_kept: bool) -> Reconstruction:
    return Reconstruction(
        psnr=_decibels(fidelity.psnr),
        ssim=round(fidelity.ssim, 4),
        autoencoder_psnr=_decibels(fidelity.autoencoder_psnr),
        autoencoder_ssim=round(fidelity.autoencoder_ssim, 4),
        inversion="kept" if was_kept else "made",
    )


def _decibels(value: float) -> float | None:
    """JSON has no infinity."""
    return round(value, 2) if math.isfinite(value) else None
