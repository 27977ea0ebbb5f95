"""How much memory a model's networks occupy, and will occupy once each layer was called."""

from collections.abc import Iterable

from torch import nn

from p2p.families.packed import PackedConv2d, PackedLinear


def occupied(networks: Iterable[nn.Module]) -> int:
    """Bytes of the weights and of their packed copies.

    A weight that networks share counts once. A layer that packs counts twice from the start: its copy is made by its
    first call, so what is free before a model's first run is not free after it.
    """
    weights: dict[tuple, int] = {}
    copies = 0
    for network in networks:
        for tensor in (*network.parameters(), *network.buffers()):
            weights[tensor.device, tensor.data_ptr(), tensor.shape] = tensor.nbytes
        for module in network.modules():
            if isinstance(module, PackedConv2d | PackedLinear):
                copies += module.weight.nbytes
    return sum(weights.values()) + copies
