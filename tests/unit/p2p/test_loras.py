"""LoRAs that are fused when a model is loaded: exactly, in order, and only where every layer of them is there."""

import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig

from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families import load
from p2p.families.conditioning import Conditioning
from p2p.layouts.model_files import LoraFile, ModelFiles
from tests import families, lora_files, single_file
from tests.short_specs import NO_MAPS, SWAP, spec

pytestmark = pytest.mark.needs("latents")


@pytest.fixture(scope="module")
def saved(build, tmp_path_factory) -> Path:
    """A folder with the tiny model, two LoRAs of it in diffusers' layout and one of them in kohya's."""
    folder = tmp_path_factory.mktemp("saved")
    build().save_pretrained(folder / "model")
    first = lora_files.trained(build())
    lora_files.saved(folder / "first.safetensors", first)
    lora_files.saved(folder / "kohya.safetensors", lora_files.as_kohya(build(), first))
    lora_files.saved(folder / "second.safetensors", lora_files.trained(build(), seed=2, text=False))
    return folder


@pytest.fixture
def opened(family_name):
    """Loads a model of the family."""
    return partial(load, family_name)


@pytest.fixture
def latents(opened):
    """The latents of an edit on a model."""
    return lambda files: edit(spec(SWAP, **NO_MAPS), opened(files)).latents


def with_loras(saved: Path, *loras: tuple[str, float], model: str = "model") -> ModelFiles:
    files = tuple(LoraFile(str(saved / f"{name}.safetensors"), weight) for name, weight in loras)
    return ModelFiles(str(saved / model), loras=files)


def test_a_fused_lora_is_the_same_model_as_the_adapters_beside_it(saved, opened, build):
    fused = opened(with_loras(saved, ("first", 0.8)))
    unfused = opened(with_loras(saved))
    state = lora_files.trained(build())

    parts = [part for part in ("unet", "text_encoder", "text_encoder_2") if hasattr(fused.pipeline, part)]
    for part in parts:
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
        assert changed == sum(name.startswith(f"{part}.") for name in state) / 2 > 3


def test_a_fused_lora_predicts_what_its_adapters_predict(saved, opened, build):
    beside = opened(with_loras(saved))
    plain = predicted(beside)
    beside.pipeline.load_lora_weights(lora_files.trained(build()), adapter_name="beside")
    beside.pipeline.set_adapters(["beside"], [0.8])

    fused = predicted(opened(with_loras(saved, ("first", 0.8))))

    # the bound; W x + B A x and (W + B A) x are sums in another order
    torch.testing.assert_close(fused, predicted(beside), rtol=0, atol=1e-5)
    assert (fused - plain).abs().max() > 1e-2


def predicted(family) -> torch.Tensor:
    conditioning = Conditioning.of([(None, family.encode_prompts(["a cat on the beach"]))], [1.0])
    latents = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    return family.predict(latents, torch.tensor(500), conditioning)


def test_kohyas_layout_is_read_as_diffusers_own(saved, latents):
    assert torch.equal(latents(with_loras(saved, ("kohya", 0.8))), latents(with_loras(saved, ("first", 0.8))))


def test_kohyas_further_layers_are_fused_too(saved, opened, latents, build):
    state = lora_files.trained(build(), more=True)
    lora_files.saved(saved / "more.safetensors", state)
    lora_files.saved(saved / "more-kohya.safetensors", lora_files.as_kohya(build(), state))

    made = latents(with_loras(saved, ("more-kohya", 0.3)))

    assert torch.equal(made, latents(with_loras(saved, ("more", 0.3))))
    changed = opened(with_loras(saved, ("more", 0.3))).network.state_dict()
    plain = opened(with_loras(saved)).network.state_dict()
    for layer in ("proj_in", "proj_out", "transformer_blocks.0.ff.net.0.proj", "transformer_blocks.0.ff.net.2"):
        name = f"mid_block.attentions.0.{layer}.weight"
        up, down = (state[f"unet.{name.removesuffix('weight')}lora_{side}.weight"].flatten(1) for side in "BA")
        # the definition, summed in another order
        wanted = plain[name] + 0.3 * (up @ down).reshape(plain[name].shape)
        torch.testing.assert_close(changed[name], wanted, rtol=0, atol=1e-6)


def test_a_file_of_which_diffusers_would_drop_layers_without_a_word_is_refused(saved, opened, build):
    """Names of diffusers and of peft in one file, as its training scripts write it for layers besides attention's."""
    more = lora_files.trained(build(), text=False, more=True)
    mixed = lora_files.trained(build(), text=False) | {n: w for n, w in more.items() if "attn" not in n}
    lora_files.saved(saved / "mixed.safetensors", dict(sorted(mixed.items())))

    with (
        pytest.raises(UnsupportedModel, match=r"changes \d+ layers, and this model has \d+ of them"),
        pytest.warns(RuntimeWarning, match="an inconsistency was discovered"),
    ):
        opened(with_loras(saved, ("mixed", 1.0)))


def test_the_alpha_of_kohyas_layout_counts(saved, latents, build):
    """Twice the weight at half the alpha."""
    half = lora_files.as_kohya(build(), lora_files.trained(build()), alpha=lora_files.RANK / 2)
    lora_files.saved(saved / "half.safetensors", half)

    assert torch.equal(latents(with_loras(saved, ("half", 1.6))), latents(with_loras(saved, ("first", 0.8))))


def test_the_alpha_in_a_files_header_counts(saved, latents, build):
    """As diffusers writes it: not among the tensors."""
    config = LoraConfig(r=lora_files.RANK, lora_alpha=lora_files.RANK // 2, target_modules=lora_files.TARGETS)
    state = {n: w for n, w in lora_files.trained(build(), text=False).items()}
    unet = {n.removeprefix("unet."): w for n, w in state.items()}
    StableDiffusionPipeline.save_lora_weights(
        saved, unet_lora_layers=unet, weight_name="header.safetensors",
        unet_lora_adapter_metadata=config.to_dict(),
    )  # fmt: skip
    lora_files.saved(saved / "plain.safetensors", state)

    assert torch.equal(latents(with_loras(saved, ("header", 1.6))), latents(with_loras(saved, ("plain", 0.8))))


def test_a_name_in_capitals_is_not_taken_for_a_pickle(saved, opened):
    shutil.copy(saved / "first.safetensors", saved / "FIRST.SAFETENSORS")

    with pytest.raises(UnsupportedModel, match=r"is no \.safetensors file"):
        opened(ModelFiles(str(saved / "model"), loras=(LoraFile(str(saved / "FIRST.SAFETENSORS")),)))


def test_a_lora_of_convolutions_is_fused(saved, tmp_path, opened, family_name):
    """As LyCORIS's LoCon has them; the rank may differ from layer to layer."""
    inside = "input_blocks_1_0_in_layers_2" if family_name == "stable_diffusion_xl" else "down_blocks_0_resnets_0_conv1"
    layer = f"lora_unet_{inside}"
    down, up = torch.randn(2, 8, 3, 3), torch.randn(8, 2, 1, 1)
    state = {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up, f"{layer}.alpha": torch.tensor(2.0)}
    file = lora_files.saved(tmp_path / "conv.safetensors", state)

    fused = opened(ModelFiles(str(saved / "model"), loras=(LoraFile(str(file), 0.5),))).network
    plain = opened(with_loras(saved)).network

    change = torch.einsum("or,rikl->oikl", up[:, :, 0, 0], down)
    found = fused.down_blocks[0].resnets[0].conv1.weight
    # the definition, summed in another order
    torch.testing.assert_close(found, plain.down_blocks[0].resnets[0].conv1.weight + 0.5 * change, rtol=0, atol=1e-5)


def test_a_lora_of_the_text_encoder_alone_is_fused(saved, latents, build):
    state = {n: w for n, w in lora_files.trained(build()).items() if n.startswith("text_encoder")}
    lora_files.saved(saved / "text.safetensors", state)

    assert (latents(with_loras(saved, ("text", 1.0))) - latents(with_loras(saved))).abs().max() > 1e-3


def test_without_peft_a_lora_is_refused_with_what_to_install(saved, monkeypatch, opened):
    monkeypatch.setitem(sys.modules, "peft", None)

    with pytest.raises(UnsupportedModel, match="peft is not installed: pip install peft"):
        opened(with_loras(saved, ("first", 0.8)))


def test_several_loras_are_added_up(saved, opened):
    both = opened(with_loras(saved, ("first", 0.8), ("second", -0.5))).network.state_dict()
    each = [opened(with_loras(saved, one)).network.state_dict() for one in (("first", 0.8), ("second", -0.5))]
    plain = opened(with_loras(saved)).network.state_dict()

    for name, weight in both.items():
        torch.testing.assert_close(weight, each[0][name] + each[1][name] - plain[name], rtol=0, atol=1e-6)  # order


def test_a_lora_of_weight_zero_changes_nothing(saved, latents):
    assert torch.equal(latents(with_loras(saved, ("first", 0.0))), latents(with_loras(saved)))


def test_a_lora_is_fused_into_a_single_file(saved, latents, build):
    file = single_file.save(build(), saved / "painter.safetensors")
    loras = with_loras(saved, ("first", 0.8)).loras

    made = latents(ModelFiles(str(file), config=str(saved / "model"), loras=loras))

    assert torch.equal(made, latents(with_loras(saved, ("first", 0.8))))


def test_nothing_of_a_fused_lora_asks_for_a_gradient(saved, opened):
    """Null-text inversion would keep all activations for it."""
    family = opened(with_loras(saved, ("first", 0.8)))

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
    "FLUX": (
        lambda state: {f"transformer.single_transformer_blocks.0.attn.to_q.lora_{side}.weight": torch.zeros(4, 4)
                       for side in "AB"},
        "changes transformer, and stable_diffusion",
    ),
    "of another text": (_narrower, "whose unet.cross_attention_dim is 12, and this one's is "),
    "of other layers": (
        lambda state: {n.replace("mid_block", "mid_block.attentions.3"): w for n, w in state.items()},
        "of them: name a LoRA of this model's family",
    ),
    "of no layer at all": (
        lambda state: {n.replace("blocks", "stages"): w for n, w in state.items() if n.startswith("unet.down")},
        "a LoRA of this model",
    ),
    "of wider layers": (_of_wider_layers, "is not a LoRA of this model: "),
    "half of it": (
        lambda state: {n: w for n, w in state.items() if "mid_block" not in n or "up" not in n},
        "layers, mid_block_attentions_0",
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
def test_a_lora_of_another_model_is_refused_with_what_was_found_and_wanted(saved, tmp_path, spoil, said, opened, build):
    state = {name: weight.contiguous() for name, weight in spoil(lora_files.trained(build())).items()}
    file = lora_files.saved(tmp_path / "other.safetensors", {n: w.clone() for n, w in state.items()})

    with pytest.raises(UnsupportedModel, match=f"^{file} .*{re.escape(said)}"):
        opened(ModelFiles(str(saved / "model"), loras=(LoraFile(str(file)),)))


#: Of each family, what is said of another family's LoRA: of a whole one, and of one whose layers have the same width.
OTHER_FAMILIES = {
    "stable_diffusion": (
        "stable_diffusion_xl",
        "changes text_encoder_2 (SDXL's), and stable_diffusion has unet and text_encoder: name a LoRA of this",
    ),
    "stable_diffusion_xl": (
        "stable_diffusion",
        "is of a model whose unet.cross_attention_dim is 16, and this one's is 48: name a LoRA of this model's family",
    ),
}


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_a_lora_of_another_family_is_refused_with_what_was_found_and_wanted(
    saved, tmp_path, opened, family_name, layout
):
    other, said = OTHER_FAMILIES[family_name]
    pipeline = families.PIPELINES[other]()
    state = lora_files.trained(pipeline)
    file = lora_files.saved(
        tmp_path / "other.safetensors", lora_files.as_kohya(pipeline, state) if layout == "kohya" else state
    )

    with pytest.raises(UnsupportedModel, match=f"^{file} {re.escape(said)}"):
        opened(ModelFiles(str(saved / "model"), loras=(LoraFile(str(file)),)))


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_a_lora_of_another_family_whose_widths_say_nothing_is_refused_by_its_layers(
    saved, tmp_path, opened, family_name, layout
):
    """Of self-attention alone: no layer of it reads the text."""
    pipeline = families.PIPELINES[OTHER_FAMILIES[family_name][0]]()
    state = {n: w for n, w in lora_files.trained(pipeline, text=False).items() if "attn1" in n}
    file = lora_files.saved(
        tmp_path / "other.safetensors", lora_files.as_kohya(pipeline, state) if layout == "kohya" else state
    )

    with pytest.raises(UnsupportedModel, match=f"^{file} (is not a LoRA of this model|changes .* layers, and this)"):
        opened(ModelFiles(str(saved / "model"), loras=(LoraFile(str(file)),)))


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone.safetensors", "is not there, and a LoRA is wanted"), ("model", "is a folder"), ("a.bin", "may run code")],
)
def test_a_lora_that_is_no_file_of_the_kind_is_refused(saved, name, said, opened):
    (saved / "a.bin").write_bytes(b"")

    with pytest.raises(UnsupportedModel, match=said):
        opened(ModelFiles(str(saved / "model"), loras=(LoraFile(str(saved / name)),)))


def test_a_lora_of_a_model_with_fewer_channels_is_refused(saved, tmp_path, opened, build):
    """Its layers have the same names; their sizes differ."""
    other = build()
    other.unet = UNet2DConditionModel.from_config(other.unet.config, block_out_channels=(8, 8, 8))
    file = lora_files.saved(tmp_path / "other.safetensors", lora_files.trained(other, text=False))

    with pytest.raises(UnsupportedModel, match="is not a LoRA of this model: "):
        opened(ModelFiles(str(saved / "model"), loras=(LoraFile(str(file)),)))
