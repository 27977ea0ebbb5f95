"""LoRAs that runs ask for, put beside a model's weights for a run and taken away again (Hu et al. 2022).

They are not fused: to take a change back out of rounded weights does not give the same weights. Beside them it does,
bit for bit. What the last run asked for stays in memory, switched off, until a run asks for something else: jobs of one
LoRA mostly follow each other.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from p2p.errors import UnknownLora
from p2p.families.loras import networks, put_beside
from p2p.spec.loras import LoraUse


class LoraShelf:
    """A pipeline, and the LoRAs that runs of it may ask for.

    Attributes:
        files: each LoRA's safetensors file, by its id.
        loaded: how often LoRAs were read from their files.
    """

    def __init__(self, pipeline: Any, files: Mapping[str, str] | None = None) -> None:
        self._pipeline, self.files = pipeline, dict(files or {})
        self._resident: tuple[str, ...] = ()
        self._applied: tuple[LoraUse, ...] = ()
        self._entered: list[list[tuple[LoraUse, ...]]] = []
        self._digests: dict[str, str] = {}
        self.loaded = 0

    @contextmanager
    def applied(self, uses: Sequence[LoraUse]) -> Iterator[None]:
        """The model with some LoRAs; afterwards it is as it was, bit for bit, whatever happens.

        Runs may be in the middle of their work at the same time, each with its own: the last that entered has the
        model, and when one leaves, the last of the others has it. Nothing is done if they are the same.

        Raises:
            UnknownLora: one is not offered.
            UnsupportedModel: one is another model's.
        """
        self._require(uses)
        entry = [tuple(uses)]  # told from others by identity
        self._entered.append(entry)
        try:
            self._switch(entry[0])
            yield
        finally:
            self._entered = [other for other in self._entered if other is not entry]
            self._switch(self._entered[-1][0] if self._entered else ())

    def _switch(self, uses: tuple[LoraUse, ...]) -> None:
        if uses == self._applied:
            return
        self._applied = ()
        if uses:
            self._take_up(tuple(use.id for use in uses))
            # By their place: an id may hold characters that no module's name has.
            self._pipeline.set_adapters([_name(index) for index in range(len(uses))], [use.weight for use in uses])
            self._pipeline.enable_lora()
        elif self._resident:
            self._pipeline.disable_lora()
        self._applied = uses

    def digests(self, uses: Sequence[LoraUse]) -> list[dict[str, Any]]:
        """What decides about a run with some LoRAs: of each its file's digest and its weight.

        Raises:
            UnknownLora: one is not offered.
        """
        self._require(uses)
        return [{"id": use.id, "sha256": self._digest(use.id), "weight": use.weight} for use in uses]

    def _require(self, uses: Sequence[LoraUse]) -> None:
        for use in uses:
            if use.id not in self.files:
                raise UnknownLora(use.id, self.files)

    def _digest(self, lora: str) -> str:
        if lora not in self._digests:
            with Path(self.files[lora]).open("rb") as opened:
                self._digests[lora] = hashlib.file_digest(opened, "sha256").hexdigest()
        return self._digests[lora]

    def _take_up(self, ids: tuple[str, ...]) -> None:
        if ids == self._resident:
            return
        self.empty()
        try:
            for index, lora in enumerate(ids):
                put_beside(self._pipeline, self.files[lora], _name(index))
                self.loaded += 1
        except Exception:
            self._pipeline.unload_lora_weights()
            raise
        self._resident = ids
        # A gradient is only ever asked for by a text's embedding.
        for network in networks(self._pipeline):
            network.requires_grad_(False)

    def empty(self) -> None:
        """Takes what the last run asked for out of memory."""
        if self._resident:
            self._pipeline.unload_lora_weights()
            self._resident = ()


def _name(index: int) -> str:
    return f"asked_{index}"
