"""What a spec asks for that has no meaning for a model's kind of state: latents, or a grid of tokens.

The service refuses it with the field, and families refuse it by the same words.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from p2p.spec.complaints import Complaint
from p2p.spec.edit_spec import EditSpec
from p2p.spec.inversions import Direct

#: What a run of a model is a sequence of.
State = Literal["latents", "tokens"]

#: Of "latents": why no order may be named.
NO_ORDER = 'this model removes noise from latents, and "order" is for models that draw tokens: leave it out'


def no_scheduler(name: str) -> str:
    """Of "tokens": why no scheduler may be named."""
    return f"this model draws tokens, and {name} removes noise from latents: leave the scheduler out"


def _of_latents(spec: EditSpec) -> Iterator[Complaint]:
    if spec.sampling.order is not None:
        yield ("sampling", "order"), "unsupported_sampling", NO_ORDER


def _of_tokens(spec: EditSpec) -> Iterator[Complaint]:
    if spec.sampling.scheduler is not None:
        yield ("sampling", "scheduler"), "unsupported_sampling", no_scheduler(spec.sampling.scheduler)
    method = spec.inversion or Direct()
    if spec.source.image is not None and method.needs_latents is not None:
        yield ("inversion", "method"), "unsupported_inversion", method.needs_latents


_UNMET: Mapping[State, Callable[[EditSpec], Iterator[Complaint]]] = {"latents": _of_latents, "tokens": _of_tokens}


def unmet_by(state: State, spec: EditSpec) -> Iterator[Complaint]:
    """The fields of a spec that have no meaning for models of a kind of state."""
    return _UNMET[state](spec)
