"""What a job takes of the device: its share of each turn."""

from dataclasses import dataclass, replace

from p2p.spec import EditSpec


@dataclass(frozen=True)
class Usage:
    """What an execution of a job has taken so far.

    Attributes:
        gpu_seconds: of the device, alone or shared; also those that were spent before it failed or was canceled.
        steps: of denoising that it did, and of its photo's inversion.
        rows: the most that it had in one step.
        megapixels: of one of its pictures.
    """

    gpu_seconds: float
    steps: int
    rows: int
    megapixels: float


@dataclass(frozen=True)
class Share:
    """A job's part in one turn.

    Attributes:
        part: "denoise" or "decode", as in `EditResult.seconds`.
        seconds: that the whole turn took.
        rows: of the job.
        of_rows: of all jobs in the turn.
        jobs: that were in the turn.
    """

    part: str
    seconds: float
    rows: int
    of_rows: int
    jobs: int


@dataclass(frozen=True)
class Stretch:
    """Turns that followed each other with as many rows and jobs."""

    part: str
    turns: int
    rows: int
    jobs: int


class Meter:
    """Adds up what one execution takes.

    Attributes:
        turns: that it took part in, in their order.
    """

    def __init__(self, spec: EditSpec) -> None:
        self.turns: list[Stretch] = []
        sampling = spec.sampling
        self._megapixels = (sampling.height or 0) * (sampling.width or 0) / 1e6
        self._gpu_seconds, self._steps, self._rows = 0.0, 0, 0

    @property
    def usage(self) -> Usage:
        """What it has taken so far."""
        return Usage(self._gpu_seconds, self._steps, self._rows, self._megapixels)

    def took_part(self, share: Share) -> None:
        """Notes one turn. A job's share of its seconds is its share of the rows."""
        self._gpu_seconds += share.seconds * share.rows / share.of_rows
        if share.part == "denoise":
            self._steps += 1
            self._rows = max(self._rows, share.rows)
        last = self.turns[-1] if self.turns else None
        if last and (last.part, last.rows, last.jobs) == (share.part, share.of_rows, share.jobs):
            self.turns[-1] = replace(last, turns=last.turns + 1)
        else:
            self.turns.append(Stretch(share.part, 1, share.of_rows, share.jobs))

    def inverted(self, seconds: float) -> None:
        """Notes one step of a photo's inversion, which no other job shares."""
        self._gpu_seconds += seconds
        self._steps += 1
