"""LoRAs that are fused when a model is loaded: exactly, in order, and only where every layer of them is there."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig

from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families import load
from p2p.layouts.model_files import LoraFile, ModelFiles
from tests import lora_files, single_file, tiny
from tests.unit.p2p.test_edit import NO_MAPS, SWAP, spec

FAMILY = "stable_diffusion"


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A folder with the tiny model, two LoRAs of it in diffusers' layout and one of them in kohya's."""
    folder = tmp_path_factory.mktemp("saved")
    tiny.save(folder / "model")
    first = lora_files.trained(tiny.pipeline())
    lora_files.saved(folder / "first.safetensors", first)
    lora_files.saved(folder / "kohya.safetensors", lora_files.as_kohya(first))
    lora_files.saved(folder / "second.safetensors", lora_files.trained(tiny.pipeline(), seed=2, text=False))
    return folder


def with_loras(saved: Path, *loras: tuple[str, float], model: str = "model") -> ModelFiles:
    files = tuple(LoraFile(str(saved / f"{name}.safetensors"), weight) for name, weight in loras)
    return ModelFiles(str(saved / model), loras=files)


def latents(files: ModelFiles) -> torch.Tensor:
    return edit(spec(SWAP, **NO_MAPS), load(FAMILY, files)).latents


def test_a_fused_lora_is_the_same_model_as_the_adapters_beside_it(saved):
    fused = load(FAMILY, with_loras(saved, ("first", 0.8)))
    unfused = load(FAMILY, with_loras(saved))
    state = lora_files.trained(tiny.pipeline())

    for part in ("unet", "text_encoder"):
        mine, plain = (getattr(family.pipeline, part).state_dict() for family in (fused, unfused))
        changed = 0
        for name, weight in plain.items():
            layer = f"{part}.{name.removesuffix('.weight')}"
            ends = next((each for each in ("lora", "lora_linear_layer") if f"{layer}.{each}.up.weight" in state), None)
            if ends is not None:
                delta = state[f"{layer}.{ends}.up.weight"] @ state[f"{layer}.{ends}.down.weight"]
                weight, changed = weight + 0.8 * delta, changed + 1
            # the definition, in float32; the product may be summed in another order
            torch.testing.assert_close(mine[name], weight, rtol=0, atol=1e-6)
        assert changed == {"unet": 80, "text_encoder": 4}[part]


def test_a_fused_lora_predicts_what_its_adapters_predict(saved):
    beside = load(FAMILY, with_loras(saved))
    plain = predicted(beside)
    beside.pipeline.load_lora_weights(lora_files.trained(tiny.pipeline()), adapter_name="beside")
    beside.pipeline.set_adapters(["beside"], [0.8])

    fused = predicted(load(FAMILY, with_loras(saved, ("first", 0.8))))

    # the bound; W x + B A x and (W + B A) x are sums in another order
    torch.testing.assert_close(fused, predicted(beside), rtol=0, atol=1e-5)
    assert (fused - plain).abs().max() > 1e-2


@torch.no_grad()
def predicted(family) -> torch.Tensor:
    context = family.encode_prompts(["a cat on the beach"]).context
    latents = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    return family.network(latents, torch.tensor(500), context, return_dict=False)[0]


def test_kohyas_layout_is_read_as_diffusers_own(saved):
    assert torch.equal(latents(with_loras(saved, ("kohya", 0.8))), latents(with_loras(saved, ("first", 0.8))))


def test_kohyas_further_layers_are_fused_too(saved):
    state = lora_files.trained(tiny.pipeline(), more=True)
    lora_files.saved(saved / "more.safetensors", state)
    lora_files.saved(saved / "more-kohya.safetensors", lora_files.as_kohya(state))

    made = latents(with_loras(saved, ("more-kohya", 0.3)))

    assert torch.equal(made, latents(with_loras(saved, ("more", 0.3))))
    changed = load(FAMILY, with_loras(saved, ("more", 0.3))).network.state_dict()
    plain = load(FAMILY, with_loras(saved)).network.state_dict()
    for layer in ("proj_in", "proj_out", "transformer_blocks.0.ff.net.0.proj", "transformer_blocks.0.ff.net.2"):
        name = f"mid_block.attentions.0.{layer}.weight"
        up, down = (state[f"unet.{name.removesuffix('weight')}lora_{side}.weight"].flatten(1) for side in "BA")
        # the definition, summed in another order
        wanted = plain[name] + 0.3 * (up @ down).reshape(plain[name].shape)
        torch.testing.assert_close(changed[name], wanted, rtol=0, atol=1e-6)


def test_a_file_of_which_diffusers_would_drop_layers_without_a_word_is_refused(saved):
    """Names of diffusers and of peft in one file, as its training scripts write it for layers besides attention's."""
    more = lora_files.trained(tiny.pipeline(), text=False, more=True)
    mixed = lora_files.trained(tiny.pipeline(), text=False) | {n: w for n, w in more.items() if "attn" not in n}
    lora_files.saved(saved / "mixed.safetensors", dict(sorted(mixed.items())))

    with (
        pytest.raises(UnsupportedModel, match="changes 120 layers, and this model has 40 of them"),
        pytest.warns(RuntimeWarning, match="an inconsistency was discovered"),
    ):
        load(FAMILY, with_loras(saved, ("mixed", 1.0)))


def test_the_alpha_of_kohyas_layout_counts(saved):
    """Twice the weight at half the alpha."""
    half = lora_files.as_kohya(lora_files.trained(tiny.pipeline()), alpha=lora_files.RANK / 2)
    lora_files.saved(saved / "half.safetensors", half)

    assert torch.equal(latents(with_loras(saved, ("half", 1.6))), latents(with_loras(saved, ("first", 0.8))))


def test_the_alpha_in_a_files_header_counts(saved):
    """As diffusers writes it: not among the tensors."""
    config = LoraConfig(r=lora_files.RANK, lora_alpha=lora_files.RANK // 2, target_modules=lora_files.TARGETS)
    state = {n: w for n, w in lora_files.trained(tiny.pipeline(), text=False).items()}
    unet = {n.removeprefix("unet."): w for n, w in state.items()}
    StableDiffusionPipeline.save_lora_weights(
        saved, unet_lora_layers=unet, weight_name="header.safetensors",
        unet_lora_adapter_metadata=config.to_dict(),
    )  # fmt: skip
    lora_files.saved(saved / "plain.safetensors", state)

    assert torch.equal(latents(with_loras(saved, ("header", 1.6))), latents(with_loras(saved, ("plain", 0.8))))


def test_a_name_in_capitals_is_not_taken_for_a_pickle(saved):
    shutil.copy(saved / "first.safetensors", saved / "FIRST.SAFETENSORS")

    with pytest.raises(UnsupportedModel, match=r"is no \.safetensors file"):
        load(FAMILY, ModelFiles(str(saved / "model"), loras=(LoraFile(str(saved / "FIRST.SAFETENSORS")),)))


def test_a_lora_of_convolutions_is_fused(saved, tmp_path):
    """As LyCORIS's LoCon has them; the rank may differ from layer to layer."""
    layer = "lora_unet_down_blocks_0_resnets_0_conv1"
    down, up = torch.randn(2, 8, 3, 3), torch.randn(8, 2, 1, 1)
    state = {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up, f"{layer}.alpha": torch.tensor(2.0)}
    file = lora_files.saved(tmp_path / "conv.safetensors", state)

    fused = load(FAMILY, ModelFiles(str(saved / "model"), loras=(LoraFile(str(file), 0.5),))).network
    plain = load(FAMILY, with_loras(saved)).network

    change = torch.einsum("or,rikl->oikl", up[:, :, 0, 0], down)
    found = fused.down_blocks[0].resnets[0].conv1.weight
    # the definition, summed in another order
    torch.testing.assert_close(found, plain.down_blocks[0].resnets[0].conv1.weight + 0.5 * change, rtol=0, atol=1e-5)


def test_a_lora_of_the_text_encoder_alone_is_fused(saved):
    state = {n: w for n, w in lora_files.trained(tiny.pipeline()).items() if n.startswith("text_encoder")}
    lora_files.saved(saved / "text.safetensors", state)

    assert (latents(with_loras(saved, ("text", 1.0))) - latents(with_loras(saved))).abs().max() > 1e-3


def test_without_peft_a_lora_is_refused_with_what_to_install(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)

    with pytest.raises(UnsupportedModel, match="peft is not installed: pip install peft"):
        load(FAMILY, with_loras(saved, ("first", 0.8)))


def test_several_loras_are_added_up(saved):
    both = load(FAMILY, with_loras(saved, ("first", 0.8), ("second", -0.5))).network.state_dict()
    each = [load(FAMILY, with_loras(saved, one)).network.state_dict() for one in (("first", 0.8), ("second", -0.5))]
    plain = load(FAMILY, with_loras(saved)).network.state_dict()

    for name, weight in both.items():
        torch.testing.assert_close(weight, each[0][name] + each[1][name] - plain[name], rtol=0, atol=1e-6)  # order


def test_a_lora_of_weight_zero_changes_nothing(saved):
    assert torch.equal(latents(with_loras(saved, ("first", 0.0))), latents(with_loras(saved)))


def test_a_lora_is_fused_into_a_single_file(saved):
    file = single_file.save(tiny.pipeline(), saved / "painter.safetensors")
    loras = with_loras(saved, ("first", 0.8)).loras

    made = latents(ModelFiles(str(file), config=str(saved / "model"), loras=loras))

    assert torch.equal(made, latents(with_loras(saved, ("first", 0.8))))


def test_nothing_of_a_fused_lora_asks_for_a_gradient(saved):
    """Null-text inversion would keep all activations for it."""
    family = load(FAMILY, with_loras(saved, ("first", 0.8)))

    assert not [name for name, weight in family.network.named_parameters() if weight.requires_grad]
    assert not [name for name in family.network.state_dict() if "lora" in name]


def _narrower(state):
    return {n: w[:, :12] if "attn2.to_k.lora.down" in n else w for n, w in state.items()}


def _of_wider_layers(state):
    return {
        n: torch.cat([w, w], 1) if "mid_block" in n and "attn1.to_q.lora.down" in n else w for n, w in state.items()
    }


#: LoRAs that are not of this model, and what is said.
OTHERS = {
    "SDXL": (
        lambda state: state | {f"text_encoder_2.{n}": w for n, w in state.items() if "unet" not in n},
        "changes text_encoder_2 (SDXL's), and stable_diffusion has unet and text_encoder",
    ),
    "FLUX": (
        lambda state: {f"transformer.single_transformer_blocks.0.attn.to_q.lora_{side}.weight": torch.zeros(4, 4)
                       for side in "AB"},
        "changes transformer, and stable_diffusion has unet and text_encoder",
    ),
    "of another text": (_narrower, "whose unet.cross_attention_dim is 12, and this one's is 16"),
    "of other layers": (
        lambda state: {n.replace("mid_block", "mid_block.attentions.3"): w for n, w in state.items()},
        "changes 84 layers, and this model has 76 of them",
    ),
    "of no layer at all": (
        lambda state: {n.replace("blocks", "stages"): w for n, w in state.items() if n.startswith("unet.down")},
        "a LoRA of this model",
    ),
    "of wider layers": (_of_wider_layers, "is not a LoRA of this model: "),
    "half of it": (
        lambda state: {n: w for n, w in state.items() if "mid_block" not in n or "up" not in n},
        "has one of two matrices of 8 layers, mid_block_attentions_0",
    ),
    "DoRA": (
        lambda state: state | {"unet.mid_block.attentions.0.proj_in.dora_scale": torch.zeros(2)},
        "no LoRA's (such as unet.mid_block.attentions.0.proj_in.dora_scale), and names of",
    ),
    "LoHa": (lambda state: {"lora_unet_mid_block.hada_w1_a": torch.zeros(2)}, "DoRA, LoHa and LoKr are not handled"),
    "a model": (lambda state: {"conv_in.weight": torch.zeros(2)}, "no LoRA's (such as conv_in.weight)"),
    "nothing": (lambda state: {}, "(none at all)"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), OTHERS.values(), ids=OTHERS)
def test_a_lora_of_another_model_is_refused_with_what_was_found_and_wanted(saved, tmp_path, spoil, said):
    state = {name: weight.contiguous() for name, weight in spoil(lora_files.trained(tiny.pipeline())).items()}
    file = lora_files.saved(tmp_path / "other.safetensors", {n: w.clone() for n, w in state.items()})

    with pytest.raises(UnsupportedModel, match=f"^{file} .*{re.escape(said)}"):
        load(FAMILY, ModelFiles(str(saved / "model"), loras=(LoraFile(str(file)),)))


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone.safetensors", "is not there, and a LoRA is wanted"), ("model", "is a folder"), ("a.bin", "may run code")],
)
def test_a_lora_that_is_no_file_of_the_kind_is_refused(saved, name, said):
    (saved / "a.bin").write_bytes(b"")

    with pytest.raises(UnsupportedModel, match=said):
        load(FAMILY, ModelFiles(str(saved / "model"), loras=(LoraFile(str(saved / name)),)))


def test_a_lora_of_a_model_with_fewer_channels_is_refused(saved, tmp_path):
    """Its layers have the same names; their sizes differ."""
    other = tiny.pipeline()
    other.unet = UNet2DConditionModel.from_config(other.unet.config, block_out_channels=(8, 8, 8))
    file = lora_files.saved(tmp_path / "other.safetensors", lora_files.trained(other, text=False))

    with pytest.raises(UnsupportedModel, match="is not a LoRA of this model: "):
        load(FAMILY, ModelFiles(str(saved / "model"), loras=(LoraFile(str(file)),)))
