"""Weights laid out once as the CPU's kernels want them, instead of at every call.

PyTorch keeps a convolution's weights as they were declared, and oneDNN rearranges them at each call: work that a
sampler, which calls the same layers a hundred times a picture, need not repeat. The compiler does the same when it
freezes a model, with these very operators; here it costs no compilation. Measured by `python -m benchmarks.formats`.
"""

import torch
from torch import Tensor, nn

CPU_DTYPES = (torch.float32, torch.bfloat16)


class PackedConv2d(nn.Conv2d):
    """A convolution that keeps its weights packed, beside the plain ones, for the size of picture it last saw.

    The layout that is fastest depends on the size. Packed for another one, SD 1.5's network is slower than unpacked
    (`benchmarks.formats`: `packed_for_half_to_plain`), and packing again costs less than one call.
    """

    packed: Tensor | None = None
    packed_for: torch.Size | None = None

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled():  # the packed operators have no gradient
            return super().forward(input)
        shape = self.padding, self.stride, self.dilation, self.groups
        input = input.contiguous(memory_format=torch.channels_last)
        if not _is_packed(self) or self.packed_for != input.shape[2:]:
            # The number of rows in the hint makes no difference that could be measured; height and width do.
            plain = self.weight.detach().to_mkldnn()
            self.packed = torch._C._nn.mkldnn_reorder_conv2d_weight(plain, *shape, input.shape)  # type: ignore
            self.packed_for = input.shape[2:]
        return torch.ops.mkldnn._convolution_pointwise(input, self.packed, self.bias, *shape, "none", [], "")


class PackedLinear(nn.Linear):
    """A linear layer that keeps its weights packed, beside the plain ones, from its first call on."""

    packed: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().forward(input)
        if not _is_packed(self):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), None)
        return torch.ops.mkldnn._linear_pointwise(input, self.packed, self.bias, "none", [], "")


def _is_packed(layer: PackedConv2d | PackedLinear) -> bool:
    # A network may run in float32 for once (`p2p.finite.in_float32`): it is packed anew then, and when it is back.
    return layer.packed is not None and layer.packed.dtype == layer.weight.dtype


PACKED: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: PackedConv2d, nn.Linear: PackedLinear}


def pack(network: nn.Module) -> None:
    """Makes the layers of a network on the CPU pack their weights; elsewhere, and for other precisions, does nothing.

    The network is for inference from then on: its weights must not change. Gradients go by the plain weights.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for module in network.modules():
        if type(module) in PACKED and _packable(module):
            module.__class__ = PACKED[type(module)]


def _packable(module: nn.Module) -> bool:
    weight = module.weight
    on_cpu = isinstance(weight, Tensor) and weight.device.type == "cpu" and weight.dtype in CPU_DTYPES
    # "same" and reflected padding are not the kernels' business.
    is_plain = getattr(module, "padding_mode", "zeros") == "zeros" and not isinstance(
        getattr(module, "padding", 0), str
    )
    return on_cpu and is_plain
