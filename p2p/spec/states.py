"""What a spec asks for that has no meaning for a model's kind of state: latents, latents of flows, or a grid of tokens.

The service refuses it with the field, and families refuse it by the same words.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from p2p.spec.complaints import Complaint
from p2p.spec.edit_spec import EditSpec
from p2p.spec.inversions import METHODS, Direct

#: What a run of a model is a sequence of.
State = Literal["latents", "tokens", "flows"]

#: Of "latents": why no order may be named.
NO_ORDER = 'this model removes noise from latents, and "order" is for models that draw tokens: leave it out'


def no_scheduler(name: str) -> str:
    """Of "tokens": why no scheduler may be named."""
    return f"this model draws tokens, and {name} removes noise from latents: leave the scheduler out"


def no_scheduler_of_flows(name: str) -> str:
    """Of "flows": why no scheduler may be named."""
    return f"this model's steps follow a flow, and {name} removes noise otherwise: leave the scheduler out"


def no_inversion(state: State, method: str) -> str:
    """Why an inversion is not made for models of a kind of state; "" if it is."""
    return METHODS[method].refused.get(state, "")


def _inversion(state: State, spec: EditSpec) -> Iterator[Complaint]:
    method = (spec.inversion or Direct()).method
    if spec.source.image is not None and (why := no_inversion(state, method)):
        yield ("inversion", "method"), "unsupported_inversion", why


def _of_flows(spec: EditSpec) -> Iterator[Complaint]:
    if spec.sampling.scheduler is not None:
        yield ("sampling", "scheduler"), "unsupported_sampling", no_scheduler_of_flows(spec.sampling.scheduler)
    if spec.sampling.order is not None:
        yield ("sampling", "order"), "unsupported_sampling", NO_ORDER
    if spec.compat is not None and spec.reference is None:
        message = "the published method of this model's attention is meant: say which one, such as {}"
        yield ("reference",), "unsupported_sampling", message
    if spec.long_prompts == "chunks":
        message = "this model's text encoders read a prompt as a whole: shorten the prompts, or leave it out"
        yield ("long_prompts",), "chunks_not_here", message


def _reference(spec: EditSpec) -> Iterator[Complaint]:
    if spec.reference is not None:
        message = "this model's words have an attention of their own, and the method is for others: leave it out"
        yield ("reference",), "unsupported_sampling", message


def _of_latents(spec: EditSpec) -> Iterator[Complaint]:
    yield from _reference(spec)
    if spec.sampling.order is not None:
        yield ("sampling", "order"), "unsupported_sampling", NO_ORDER


def _of_tokens(spec: EditSpec) -> Iterator[Complaint]:
    yield from _reference(spec)
    if spec.sampling.scheduler is not None:
        yield ("sampling", "scheduler"), "unsupported_sampling", no_scheduler(spec.sampling.scheduler)


_UNMET: Mapping[State, Callable[[EditSpec], Iterator[Complaint]]] = {
    "latents": _of_latents,
    "tokens": _of_tokens,
    "flows": _of_flows,
}


def unmet_by(state: State, spec: EditSpec) -> Iterator[Complaint]:
    """The fields of a spec that have no meaning for models of a kind of state."""
    yield from _inversion(state, spec)
    yield from _UNMET[state](spec)
