"""Puts attention processors into a model for a call, and takes them out again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def controlled(layers: Mapping[str, Any], processors: Mapping[str, Any]) -> Iterator[None]:
    """Installs attention processors, and always puts back what was there.

    Args:
        layers: diffusers' `Attention` modules by the name of their processor.
        processors: by the same names.
    """
    # Not by the model's `set_attn_processor`: that walks all modules, which small models feel at every step.
    before = {name: layers[name].processor for name in processors}
    try:
        for name, processor in processors.items():
            layers[name].set_processor(processor)
        yield
    finally:
        for name, processor in before.items():
            layers[name].set_processor(processor)
