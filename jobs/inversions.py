"""What an inversion is that is kept: a picture's run, found once and reused by every later edit of it.

A record in Redis, one object in the storage, and the same index by which generated sources are found
(`jobs.redis.sources`): a worker asks there for the digest of all that determines the run, and does not care how it
came about. An inversion outlives the edit that made it, and not the picture that it was made of.
"""

from datetime import datetime

from pydantic import Field

from jobs.labels import Labels
from jobs.model import Reconstruction, Record
from p2p.spec import LoraUse


class KeptInversion(Record):
    """An inversion that later edits reuse."""

    id: str
    owner: str
    source: str = Field(description="The digest of all that determines it.")
    image: str = Field(description="The picture that it is of.")
    model: str
    prompt: str
    method: str
    steps: int
    seed: int | None = Field(
        None, description="Of the job that made it; one method depends on it. Older ones say none."
    )
    loras: tuple[LoraUse, ...] = Field((), description="With which it was made. Older ones were made without.")
    reconstruction: Reconstruction
    unet_evaluations: int = Field(description="Rows that went through the UNet for it.")
    bytes: int
    labels: Labels | None = Field(None, description="Of the edit that it was made for.")
    created_at: datetime
    expires_at: datetime


def inversion_prefix(inversion_id: str) -> str:
    """Where all of an inversion lies."""
    return f"inversions/{inversion_id}"


def inversion_key(inversion_id: str) -> str:
    """Where its trajectory lies."""
    return f"{inversion_prefix(inversion_id)}/trajectory.safetensors"
