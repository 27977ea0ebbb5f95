"""Weights laid out once as the CPU's kernels want them, instead of at every call.

PyTorch keeps a convolution's weights as they were declared, and oneDNN rearranges them at each call: work that a
sampler, which calls the same layers a hundred times a picture, need not repeat. The compiler does the same when it
freezes a model, with these very operators; here it costs no compilation. Measured by `python -m benchmarks.formats`.

A packed copy must never outlive its weights: a LoRA that is fused into a packed network would do nothing, or half of
what it should, and no error would say so. So every call compares the weights with those that were packed.
"""

from typing import Any

import torch
from torch import Tensor, nn

CPU_DTYPES = (torch.float32, torch.bfloat16)


class WatchedWeight(nn.Parameter):
    """A weight that counts how often its `data` is read or set.

    A network may run in float32 for once (`p2p.finite.in_float32`), which sets `data`: it is packed anew then, and
    once more when it is back.

    PyTorch counts changes of a tensor in `_version`, but not those that are made through `data`, which is how peft
    fuses (`weight.data += ...`). Not noticed is a change through an alias of `data` that was read before packing.
    """

    data_uses = 0

    @property
    def data(self) -> Tensor:
        """The tensor without its history; asking for it counts as a change."""
        self.data_uses += 1
        return super().data

    @data.setter
    def data(self, value: Tensor) -> None:
        self.data_uses += 1
        torch.Tensor.data.__set__(self, value)  # type: ignore[attr-defined]


#: The attributes of a layer that are of its packed copy.
PACKED_STATE = ("packed", "packed_for", "packed_of")
#: Which weights a packed copy is of, and how they stood: it is good for as long as this is the same.
State = tuple[nn.Parameter, int, int, int]


def watched(weight: Any) -> State:
    """How a weight stands that is about to be copied; from now on it is watched."""
    weight.__class__ = WatchedWeight
    return weight, weight._version, weight.data_uses, weight.data_ptr()


def _is_packed(layer: "PackedConv2d | PackedLinear") -> bool:
    """Whether the packed copy is of the weights as they are now."""
    return layer.packed_of is not None and stands(layer._parameters["weight"], layer.packed_of)


def stands(weight: object, state: State) -> bool:
    """Whether a weight is as it was in a state. Asked at each call of each layer, so it is short."""
    return (
        weight is state[0]
        and isinstance(weight, WatchedWeight)
        and weight._version == state[1]
        and weight.data_uses == state[2]
        and weight.data_ptr() == state[3]
    )


class PackedConv2d(nn.Conv2d):
    """A convolution that keeps its weights packed, beside the plain ones, for the size of picture it last saw.

    The layout that is fastest depends on the size. Packed for another one, SD 1.5's network is slower than unpacked
    (`benchmarks.formats`: `packed_for_half_to_plain`), and packing again costs less than one call.
    """

    packed: Tensor | None = None
    packed_for: torch.Size | None = None
    packed_of: State | None = None

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled():  # the packed operators have no gradient
            return super().forward(input)
        shape = self.padding, self.stride, self.dilation, self.groups
        input = input.contiguous(memory_format=torch.channels_last)
        if not _is_packed(self) or self.packed_for != input.shape[2:]:
            if not _is_packable(self.weight):
                return super().forward(input)
            self.packed_of = watched(self.weight)
            # The number of rows in the hint makes no difference that could be measured; height and width do.
            plain = self.weight.detach().to_mkldnn()
            self.packed = torch._C._nn.mkldnn_reorder_conv2d_weight(plain, *shape, input.shape)  # type: ignore
            self.packed_for = input.shape[2:]
        return torch.ops.mkldnn._convolution_pointwise(input, self.packed, self.bias, *shape, "none", [], "")


class PackedLinear(nn.Linear):
    """A linear layer that keeps its weights packed, beside the plain ones, from its first call on."""

    packed: Tensor | None = None
    packed_of: State | None = None

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().forward(input)
        if not _is_packed(self):
            if not _is_packable(self.weight):
                return super().forward(input)
            self.packed_of = watched(self.weight)
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), None)
        return torch.ops.mkldnn._linear_pointwise(input, self.packed, self.bias, "none", [], "")


PACKED: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: PackedConv2d, nn.Linear: PackedLinear}


def pack(network: nn.Module) -> None:
    """Makes the layers of a network on the CPU pack their weights; elsewhere, and for other precisions, does nothing.

    Weights that change later are packed again at the next call. Gradients go by the plain weights.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for module in network.modules():
        if type(module) in PACKED and _packable(module):
            module.__class__ = PACKED[type(module)]


def _packable(module: nn.Module) -> bool:
    # "same" and reflected padding are not the kernels' business.
    is_plain = getattr(module, "padding_mode", "zeros") == "zeros" and not isinstance(
        getattr(module, "padding", 0), str
    )
    return is_plain and _is_packable(module.weight)


def _is_packable(weight: object) -> bool:
    """Whether a weight is one that the kernels take and whose changes are counted."""
    return (
        isinstance(weight, nn.Parameter)
        and type(weight) in (nn.Parameter, WatchedWeight)
        and weight.device.type == "cpu"
        and weight.dtype in CPU_DTYPES
        and not weight.is_inference()  # such tensors have no `_version`
    )
