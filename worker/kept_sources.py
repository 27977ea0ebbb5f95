"""Looks a job's source up among the kept ones."""

import logging

from jobs.errors import ArtifactNotFound, StorageUnavailable
from jobs.redis.sources import KeptSources
from jobs.storage import ObjectStorage
from p2p.errors import WrongTrajectory
from p2p.trajectory import Trajectory
from p2p.trajectory_file import loaded

log = logging.getLogger(__name__)


def kept_source(owner: str, source: str, sources: KeptSources, storage: ObjectStorage) -> Trajectory | None:
    """The kept run of a source; None if there is none, or none that can be read: it is generated anew then."""
    artifact_key = sources.find(owner, source)
    if artifact_key is None:
        return None
    try:
        trajectory = loaded(storage.read(artifact_key))
    except (ArtifactNotFound, StorageUnavailable, WrongTrajectory) as error:
        log.warning("the kept source %s is generated anew: %s", artifact_key, error)
        return None
    return trajectory if trajectory.key == source else None
