"""Packed weights compute what the plain ones do."""

import pytest
import torch

from p2p.families.packed import PackedConv2d, PackedLinear, pack
from tests import lora_files, tiny


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


def _through_data(weight):
    weight.data += 0.5  # as peft fuses


def _in_place(weight):
    weight.mul_(2)


def _through_an_alias(weight):
    weight.detach().neg_()


def _replaced(weight):
    weight.data = torch.flip(weight, (0,))


CHANGES = [_through_data, _in_place, _through_an_alias, _replaced]


@torch.no_grad()
@pytest.mark.parametrize("change", CHANGES)
def test_weights_that_change_after_a_call_are_packed_again(networks, change):
    latents = torch.randn((2, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    before = called(networks[1], latents)

    for network in networks:
        for layer in (network.conv_in, network.mid_block.attentions[0].proj_in):
            change(layer.weight)

    after = called(networks[1], latents)
    torch.testing.assert_close(after, called(networks[0], latents), rtol=1e-4, atol=1e-5)  # sums in another order
    assert (after - before).abs().max() > 1e-2


@torch.no_grad()
def test_a_weight_that_another_one_takes_the_place_of_is_packed_again(networks):
    latents = torch.randn((2, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    called(networks[1], latents)

    for network in networks:
        network.conv_in.weight = torch.nn.Parameter(torch.ones_like(network.conv_in.weight))
        other = {name: weight.flip(0) for name, weight in network.conv_out.state_dict().items()}
        network.conv_out.load_state_dict(other, assign=True)

    torch.testing.assert_close(called(networks[1], latents), called(networks[0], latents), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_weights_whose_changes_nobody_counts_are_not_packed():
    """PyTorch keeps no version of tensors that were made in inference mode."""
    with torch.inference_mode():
        layer = torch.nn.Linear(4, 4)
        pack(layer)
        given = torch.ones(1, 4)
        before = layer(given)
        layer.weight.add_(1)

        assert (layer(given) - before).min() > 3.9  # 4 inputs of 1 meet weights that are 1 more


def test_a_lora_that_is_fused_into_a_network_that_has_run_takes_effect():
    """Loaded, run, fused, run: served with the weights of before, the picture would be wrong without an error."""
    outputs = []
    latents = torch.randn((2, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    for is_packed in (True, False):
        pipeline = tiny.pipeline()
        adapters = lora_files.trained(pipeline)
        if is_packed:
            pack(pipeline.unet)
        with torch.no_grad():
            before = called(pipeline.unet, latents)
            pipeline.load_lora_weights(adapters, adapter_name="painted")
            pipeline.set_adapters(["painted"], [0.8])
            pipeline.fuse_lora()
            fused = called(pipeline.unet, latents)
            pipeline.unfuse_lora()
            pipeline.unload_lora_weights()
            outputs.append((before, fused, called(pipeline.unet, latents)))

    for packed, plain in zip(*outputs, strict=True):
        torch.testing.assert_close(packed, plain, rtol=1e-4, atol=1e-5)  # the same sums in another order
    assert (outputs[0][1] - outputs[0][0]).abs().max() > 1e-3
