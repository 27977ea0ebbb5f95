"""`torch.compile`, where it is seen to give the same and to be faster."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn

from scenes.tokens.log import Log

#: Seconds that compiling may take.
PATIENCE = 110
#: Largest relative difference of results; bfloat16 in another order of operations gives some 1e-2.
TOLERANCE = 5e-2


class TooSlow(RuntimeError):
    """Compiling took longer than it may, or gave nothing."""


def compiled(network: nn.Module, run: Callable[[nn.Module], list[torch.Tensor]], log: Log) -> nn.Module:
    """The network compiled, or itself where that fails, gives other results, or is no faster.

    Args:
        run: a forward pass of the network it is given, on a whole batch; all that the training reads of it.
    """
    try:
        with _at_most(PATIENCE):
            began = time.monotonic()
            fast = cast(nn.Module, torch.compile(network, dynamic=False))
            difference = _difference(_outcome(network, run), _outcome(fast, run))
            took = time.monotonic() - began
            plain, faster = _seconds(network, run), _seconds(fast, run)
    except Exception as problem:  # whatever it is, the network runs without
        log(compiled=False, why=f"{type(problem).__name__}: {str(problem)[:300]}")
        network.zero_grad()
        return network
    network.zero_grad()
    use = difference < TOLERANCE and faster < plain
    log(compiled=use, difference=difference, took=took, seconds_a_pass=[round(plain, 4), round(faster, 4)])
    return fast if use else network


def _outcome(network: nn.Module, run: Callable[[nn.Module], list[torch.Tensor]]) -> list[torch.Tensor]:
    network.zero_grad()
    results = run(network)
    torch.stack([result.float().square().mean() for result in results]).sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return [result.detach().float() for result in results] + [torch.stack([g.norm() for g in gradients])]


def _difference(plain: list[torch.Tensor], fast: list[torch.Tensor]) -> float:
    if len(plain) != len(fast):
        return float("inf")
    return max(((a - b).norm() / a.norm()).item() for a, b in zip(plain, fast, strict=True))


def _seconds(network: nn.Module, run: Callable[[nn.Module], list[torch.Tensor]], passes: int = 5) -> float:
    _outcome(network, run)[-1].sum().item()
    began = time.monotonic()
    for _ in range(passes):
        last = _outcome(network, run)[-1]
    last.sum().item()
    return (time.monotonic() - began) / passes


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow(f"not compiled after {seconds} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
