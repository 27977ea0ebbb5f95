"""Large models: networks that wait in main memory, and weights of eight bits. Processors come and go as ever."""

import pytest
import torch

from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families import holding, load
from p2p.layouts.model_files import LoraFile, ModelFiles
from tests import families, tiny, tiny_flows
from tests.short_specs import BLEND, NO_MAPS, SWAP, spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """A tiny FLUX.1."""
    path = tmp_path_factory.mktemp("flux")
    tiny_flows.flux().save_pretrained(path)
    return str(path)


def test_networks_that_wait_give_the_same_pictures_and_their_processors_back():
    """On a machine without a GPU they are brought from main memory to main memory: what is called is the same."""
    family = families.of(tiny_flows.flux())
    there = edit(spec(BLEND), family)
    family.pipeline.enable_model_cpu_offload(device="cpu")
    waiting = families.of(family.pipeline)
    before = families.processors_of(waiting)

    away = edit(spec(BLEND), waiting)

    assert waiting.device.type == "cpu"
    assert torch.equal(away.latents, there.latents)
    assert away.images[1].tobytes() == there.images[1].tobytes()
    assert families.processors_of(waiting) == before


def test_networks_do_not_wait_for_a_worker_without_a_gpu(folder):
    with pytest.raises(UnsupportedModel, match="this worker computes on the CPU"):
        load("flux", ModelFiles(folder, offload="model"))


def test_weights_of_eight_bits_need_a_package(folder, monkeypatch):
    monkeypatch.setattr(holding, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedModel, match="pip install torchao"):
        load("flux", ModelFiles(folder, quantize="int8"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"quantize": "int8", "loras": (LoraFile("ink.safetensors"),)}, "cannot be added to weights of eight bits"),
        ({"offload": "model", "lora_choices": {"ink": "ink.safetensors"}}, "fused where networks stay"),
    ],
)
def test_loras_and_what_they_cannot_be_fused_into_are_refused_before_anything_is_loaded(folder, asked, said):
    with pytest.raises(UnsupportedModel, match=said):
        load("flux", ModelFiles(folder, **asked))


@pytest.mark.parametrize("asked", [{"offload": "model"}, {"quantize": "int8"}])
def test_other_families_are_held_as_ever(tmp_path, asked):
    tiny.save(tmp_path)
    with pytest.raises(UnsupportedModel, match=f"`{next(iter(asked))}` is set, and"):
        load("stable_diffusion", ModelFiles(str(tmp_path), **asked))


def test_weights_of_eight_bits_edit_and_are_another_revision(folder):
    pytest.importorskip("torchao", reason="an extra, which the tests do without")
    whole, small = load("flux", folder), load("flux", ModelFiles(folder, quantize="int8"))
    before = families.processors_of(small)

    kept, found = (edit(spec(SWAP, **NO_MAPS), family).latents for family in (whole, small))

    assert families.processors_of(small) == before
    assert type(small.network.transformer_blocks[0].attn.to_q.weight) is not torch.nn.Parameter
    # Eight bits of a weight round it by 1/256 of the largest of its row.
    assert 0 < (found - kept).norm() <= 0.05 * kept.norm()
    assert small.revision != whole.revision
