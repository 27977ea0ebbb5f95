"""What marks a job's pictures as made or edited by a machine, on their way from the model to their files."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from jobs.model import Job
from jobs.provenance import EDITED, GENERATED, SourceType
from worker.credentials import NotSigned, Signing, Statement
from worker.watermark import NotMarked, Watermarks

log = logging.getLogger(__name__)

#: Signs a picture's file, by its name and content type.
Sign = Callable[[str, str, bytes], bytes]


@dataclass(frozen=True)
class Marking:
    """What an installation marks pictures with; `DigitalSourceType` stands in every file anyway.

    Attributes:
        signing: puts Content Credentials into files; None if there are none.
    """

    watermarks: Watermarks = field(default_factory=Watermarks)
    signing: Signing | None = None

    def signing_of(self, job: Job, manifest: bytes, parent: bytes | None) -> Sign:
        """What signs the pictures of a job, and raises `NotMarked`.

        Args:
            manifest: as it is stored.
            parent: the credentials that the job's photo came with.
        """
        signing = self.signing
        if signing is None:
            return lambda name, content_type, data: data
        digest = sha256(manifest).hexdigest()

        def sign(name: str, content_type: str, data: bytes) -> bytes:
            statement = Statement(
                title=name,
                source_type=source_type_of_job(job),
                job=job.id,
                manifest_digest=digest,
                of_photo=job.spec.source.image is not None,
                parent=parent,
            )
            try:
                return signing.signed(data, content_type, statement)
            except NotSigned as error:
                log.error("a picture could not be signed: %s", error)
                raise NotMarked from error

        return sign


def source_type_of_job(job: Job) -> SourceType:
    """Where the pictures of a job come from: a model alone, or a photo of which a model makes a part."""
    return GENERATED if job.spec.source.image is None else EDITED


#: No watermark, and no credentials.
UNSIGNED = Marking()
