"""What a job used of the device in one attempt."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """What one attempt used.

    Attributes:
        gpu_seconds: of its steps; where it shared them, its part.
        steps: that it did.
        rows: of a forward pass that it took.
        megapixels: of one of its pictures.
    """

    gpu_seconds: float
    steps: int
    rows: int
    megapixels: float
