"""LoRAs that runs ask for, in a model's weights for a run and out of them again (Hu et al. 2022).

To take a change back out of rounded weights does not give the same weights. So a run's weights are made beside the
model's own, which are put aside and come back as they were, bit for bit. Layers beside the weights, as peft runs them,
would do as well, and cost time at each call (`python -m benchmarks.loras`). What the last run asked for stays in
memory until a run asks for something else: jobs of one LoRA mostly follow each other.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from p2p.errors import UnknownLora
from p2p.families.loras import networks, put_beside
from p2p.families.other_weights import OtherWeights
from p2p.spec.loras import LoraUse

#: peft's layers of one LoRA, each holding the layer that it changes.
Adapters = Sequence[Any]


class LoraShelf:
    """A pipeline, and the LoRAs that runs of it may ask for.

    Attributes:
        files: each LoRA's safetensors file, by its id.
        loaded: how often LoRAs were read from their files.
    """

    def __init__(self, pipeline: Any, files: Mapping[str, str] | None = None) -> None:
        self._pipeline, self.files = pipeline, dict(files or {})
        self._resident: dict[str, Adapters] = {}
        self._fused: tuple[tuple[LoraUse, ...], OtherWeights] | None = None
        self._place = ExitStack()
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
        self._place.close()  # the model has its own weights, of which the next ones are made
        self._applied = ()
        if uses:
            self._place.enter_context(self._weights(uses).in_place())
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

    def _weights(self, uses: tuple[LoraUse, ...]) -> OtherWeights:
        """The weights of a run with some LoRAs."""
        if self._fused is None or self._fused[0] != uses or not self._fused[1].are_current:
            self._fused = None  # before others are made: one set at most is in memory
            self._take_up([use.id for use in uses])
            self._fused = uses, OtherWeights(_fused([(self._resident[use.id], use.weight) for use in uses]))
        return self._fused[1]

    def _take_up(self, ids: Sequence[str]) -> None:
        self._resident = {lora: adapters for lora, adapters in self._resident.items() if lora in ids}
        for lora in ids:
            if lora not in self._resident:
                self._resident[lora] = self._read(lora)

    def _read(self, lora: str) -> Adapters:
        # The file stands for it, for an id may hold characters that no module's name has.
        try:
            put_beside(self._pipeline, self.files[lora], ADAPTER)
            self.loaded += 1
            modules = [module for network in networks(self._pipeline) for module in network.modules()]
            return [module for module in modules if ADAPTER in (getattr(module, "lora_A", None) or ())]
        finally:
            # The layers live on in what was found; the pipeline has its own again.
            self._pipeline.unload_lora_weights()

    def empty(self) -> None:
        """Takes what the last run asked for out of memory."""
        self._resident, self._fused = {}, None


#: What peft knows a LoRA by while it is read.
ADAPTER = "asked"


def _fused(loras: Sequence[tuple[Adapters, float]]) -> dict[nn.Module, Tensor]:
    """The weights of all layers that LoRAs change, each LoRA's change times its weight added, rounded once."""
    changes: dict[nn.Module, list[tuple[Any, float]]] = {}
    for adapters, weight in loras:
        for adapter in adapters:
            changes.setdefault(adapter.get_base_layer(), []).append((adapter, weight))
    # One layer after the other: in float32 all of them would take as much memory as the model and more.
    return {layer: _changed(cast(Tensor, layer.weight).detach(), of_layer) for layer, of_layer in changes.items()}


def _changed(own: Tensor, changes: Sequence[tuple[Any, float]]) -> Tensor:
    made = own.float()
    for adapter, weight in changes:
        for side in (adapter.lora_A, adapter.lora_B):
            side[ADAPTER].requires_grad_(False).float()
        made = made + weight * adapter.get_delta_weight(ADAPTER).to(own.device)
    return made.to(own.dtype)
