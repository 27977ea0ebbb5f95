"""Packed weights compute what the plain ones do."""

import pytest
import torch

from p2p.families.packed import PackedConv2d, PackedLinear, pack
from tests import tiny


@pytest.fixture
def networks():
    plain, packed = tiny.pipeline().unet, tiny.pipeline().unet
    pack(packed)
    return plain, packed


def called(network, latents):
    context = torch.randn(len(latents), 24, 16, generator=torch.Generator().manual_seed(1))
    return network(latents, torch.tensor(500), context, return_dict=False)[0]


def test_every_convolution_and_linear_layer_is_packed(networks):
    kinds = {type(module) for module in networks[1].modules()}

    assert {PackedConv2d, PackedLinear} <= kinds
    assert not {torch.nn.Conv2d, torch.nn.Linear} & kinds


@torch.no_grad()
@pytest.mark.parametrize("shape", [(2, 4, 16, 16), (3, 4, 16, 24), (1, 4, 8, 8)])
def test_a_packed_network_computes_the_same_at_any_size(networks, shape):
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    plain, packed = networks
    called(packed, torch.zeros(2, 4, 16, 16))  # packed for another size than most

    # the same sums of fp32 products in another order
    torch.testing.assert_close(called(packed, latents), called(plain, latents), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_convolution_is_packed_for_the_size_it_sees(networks):
    """Packed for another size it would be right, but slower than unpacked."""
    packed = networks[1]
    for height, width in ((16, 16), (8, 24), (16, 16)):
        called(packed, torch.zeros(1, 4, height, width))

        assert packed.conv_in.packed_for == (height, width)


def test_gradients_go_by_the_plain_weights(networks):
    """Null-text inversion optimises what goes in."""
    gradients = []
    for network in networks:
        latents = torch.ones(1, 4, 16, 16, requires_grad=True)
        called(network, latents).sum().backward()
        gradients.append(latents.grad)

    assert torch.equal(*gradients)
