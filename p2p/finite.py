"""Values that are no numbers: noticed on the way without waiting for the device, and at the end for certain.

float16 ends at 65504. A model whose activations go beyond it computes infinity, then NaN, and what is drawn of NaN is
black. This happens to autoencoders most: SDXL's does it in float16 always, some of SD 1.x do it for some pictures.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from p2p.errors import NotFinite

HALF = (torch.float16, torch.bfloat16)


class FiniteWatch:
    """Whether all values of a run were finite, without a step waiting for the answer.

    A CUDA device computes behind Python's back, and reading a value of its waits until it has caught up. So the answer
    is accumulated on the device, copied beside the run, and looked at once the copy has arrived.

    Args:
        what: the values, for the message.
    """

    def __init__(self, what: str) -> None:
        self._what, self._dtype = what, torch.float32
        self._so_far: Tensor | None = None
        self._arriving: tuple[Tensor, torch.cuda.Event] | None = None

    def note(self, values: Tensor) -> None:
        """Takes in what a step made. Never waits.

        Raises:
            NotFinite: it is known by now that these values or earlier ones were not finite.
        """
        finite = values.detach().isfinite().all()
        self._so_far = finite if self._so_far is None else self._so_far & finite
        self._dtype = values.dtype
        if not finite.is_cuda:
            return self.require()
        if self._arriving is not None and self._arriving[1].query():
            copied, self._arriving = bool(self._arriving[0]), None
            if not copied:
                raise NotFinite(self._what, str(self._dtype))
        if self._arriving is None:
            copy = self._so_far.to("cpu", non_blocking=True)
            self._arriving = copy, torch.cuda.current_stream(finite.device).record_event()

    def require(self) -> None:
        """Raises `NotFinite` where anything was not finite, for certain: waits for the device."""
        if self._so_far is not None and not bool(self._so_far):
            raise NotFinite(self._what, str(self._dtype))


def finite_or_again(
    run: Callable[[Tensor], Tensor], rows: Tensor, network, what: str, runs: Sequence[int] | None = None
) -> Tensor:
    """What a network makes of rows, once more in float32 where its own precision overflowed.

    All rows of a run are made again, since a picture and its edits should differ by the edit alone; one at a time,
    since float32 takes twice the memory.

    Args:
        run: calls the network, in whatever precision it has by then.
        network: a diffusers model.
        what: is made, for the message.
        runs: of each row the number of its run; one run if it is None. Other runs keep what was made at first.
    Raises:
        NotFinite: the rows were not finite, or what is made of them is not finite in float32 either.
    """
    made = run(rows)
    if bool(made.isfinite().all()):
        return made
    require_finite(rows, "the latents")
    if network.dtype in HALF:
        numbers = [0] * len(rows) if runs is None else runs
        overflowed = {number for number, row in zip(numbers, made, strict=True) if not bool(row.isfinite().all())}
        with in_float32(network):
            again = [number in overflowed for number in numbers]
            made = torch.cat(
                [run(rows[row : row + 1]) if anew else made[row : row + 1].float() for row, anew in enumerate(again)]
            )
    require_finite(made, what)
    return made


def require_finite(values: Tensor, what: str) -> None:
    """Raises `NotFinite` where values are not finite: waits for the device."""
    watch = FiniteWatch(what)
    watch.note(values)
    watch.require()


@contextmanager
def in_float32(network) -> Iterator[None]:
    """A network in float32. Its own weights stay in memory, and are put back as they were, bit for bit."""
    own = [(weight, weight.data) for weight in (*network.parameters(), *network.buffers())]
    try:
        for weight, data in own:
            if data.is_floating_point():
                weight.data = data.float()
        yield
    finally:
        for weight, data in own:
            weight.data = data
