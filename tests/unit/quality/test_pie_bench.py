"""PIE-Bench's protocol on what can be worked out by hand, and the whole command on a set drawn here."""

import json
import math
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPProcessor, ViTConfig, ViTModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from benchmarks.pie_bench import __main__ as command
from benchmarks.pie_bench.clip import clip_similarity, inside
from benchmarks.pie_bench.drawn import DRAWN, draw_set
from benchmarks.pie_bench.editing import as_stored, spec_of, with_published_timesteps
from benchmarks.pie_bench.lpips import SCALE, SHIFT, TAPS, Lpips
from benchmarks.pie_bench.mapping import InvalidSet, as_runs, items, region
from benchmarks.pie_bench.measuring import METRICS, Networks, means, measured
from benchmarks.pie_bench.preservation import mse, outside, psnr, ssim
from benchmarks.pie_bench.structure import DEVIATION, MEAN, SIDE, as_input, self_similarity, structure_distance
from p2p.families.stable_diffusion import StableDiffusion
from tests import tiny

ENTRY = {
    "image_path": "1_change_object_80/1.png",
    "original_prompt": "a [slanted] cat on a beach",
    "editing_prompt": "a [dog] on a beach",
    "editing_instruction": "",
    "editing_type_id": "1",
    "blended_word": "cat dog",
    "mask": [0, 2],
}


@pytest.fixture
def a_set(tmp_path):
    """Writes a set of entries that differ from `ENTRY`, with one grey picture; gives its items."""

    def written(*changes: dict) -> list:
        place = tmp_path / "annotation_images" / "1_change_object_80"
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (90, 120, 150)).save(place / "1.png")
        entries = {str(number): ENTRY | change for number, change in enumerate(changes)}
        (tmp_path / "mapping_file.json").write_text(json.dumps(entries))
        return list(items(tmp_path))

    return written


def test_runs_are_rows_of_pixels_and_the_border_always_belongs_to_them():
    # Of 5 x 6 pixels: two of the second row's, and three that go on into the next row.
    mask = region([7, 1, 16, 3], 5, 6)

    assert mask.astype(int).tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 0, 0, 0, 1],
        [1, 0, 0, 0, 1, 1],
        [1, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 1, 1],
    ]


def test_a_run_beyond_the_picture_is_cut_off():
    assert np.array_equal(region([14, 900, 99, 3], 5, 6), region([14, 16], 5, 6))


def test_a_region_written_as_runs_is_read_again():
    mask = np.random.default_rng(0).random((9, 7)) < 0.5

    assert np.array_equal(region(as_runs(mask), 9, 7)[1:-1, 1:-1], mask[1:-1, 1:-1])
    assert as_runs(np.zeros((3, 3), bool)) == []
    assert as_runs(np.ones((3, 3), bool)) == [0, 9]


def test_an_entry_is_read_as_the_published_code_reads_it(a_set):
    first, second, third = a_set({}, {"blended_word": "", "editing_type_id": "9"}, {"blended_word": "cat dog red car"})

    assert (first.source, first.target) == ("a slanted cat on a beach", "a dog on a beach")
    assert (first.type_id, first.blended, first.runs) == ("1", ("cat", "dog"), [0, 2])
    assert first.image().size == (32, 32)
    assert (second.type_id, second.blended) == ("9", None)
    assert third.blended == ("cat", "dog")


@pytest.mark.parametrize(
    ("change", "said"),
    [({"mask": [1, 2, 3]}, "pairs"), ({"blended_word": "cat"}, "each prompt"), ({"mask": None}, "TypeError")],
)
def test_an_entry_that_cannot_be_read_is_named(a_set, change, said):
    with pytest.raises(InvalidSet, match=f"entry 1 of .*{said}"):
        a_set({}, change)


def test_a_directory_without_a_mapping_is_refused(tmp_path):
    with pytest.raises(InvalidSet, match=r"mapping_file\.json"):
        list(items(tmp_path))


def test_an_item_is_edited_with_the_published_settings(a_set):
    (item,) = a_set({})
    spec = spec_of(item)
    (target,) = spec.targets

    assert (spec.sampling.steps, spec.sampling.guidance_scale, spec.compat) == (50, 7.5, "reference")
    assert (target.cross_window.stop, target.self_window.stop) == (0.4, 0.6)
    assert [edit.kind for edit in target.edits] == ["refine", "reweight"]
    assert [(name.word, name.weight) for name in target.edits[1].weights] == [("dog", 2)]
    assert [name.word for name in target.local_blend.words] == ["dog"]
    assert [name.word for name in target.local_blend.source_words] == ["cat"]


@pytest.mark.parametrize(
    ("blended", "kinds", "words", "source_words"),
    [
        ("", ["refine"], None, None),
        ("horse house", ["refine"], None, None),
        ("horse dog", ["refine", "reweight"], ["dog"], []),
        ("cat house", ["refine"], [], ["cat"]),
    ],
)
def test_of_words_that_the_prompts_do_not_hold_nothing_is_asked(a_set, blended, kinds, words, source_words):
    (item,) = a_set({"blended_word": blended})
    (target,) = spec_of(item).targets

    assert [edit.kind for edit in target.edits] == kinds
    blend = target.local_blend
    assert (blend and [name.word for name in blend.words]) == words
    assert (blend and [name.word for name in blend.source_words]) == source_words


def test_a_picture_that_would_be_stored_as_jpeg_is_measured_as_jpeg():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    picture = Image.fromarray(noise)
    beside = Image.new("RGB", (128, 64))
    beside.paste(picture, (64, 0))

    assert as_stored(picture, Path("1.png")) is picture
    stored = np.asarray(as_stored(picture, Path("1.jpg")))
    assert not np.array_equal(stored, noise)
    # Beside others, as the published code stores it, it is the same but for the column that touches them.
    assert np.array_equal(np.asarray(as_stored(beside, Path("1.jpg")))[:, 65:], stored[:, 1:])


def test_the_published_scheduler_begins_at_nothing():
    family = StableDiffusion(tiny.pipeline())
    before = family.scheduler(50, "ddim").timesteps

    after = with_published_timesteps(family).scheduler(50, "ddim").timesteps

    assert (before[-1], after[-1]) == (1, 0)
    assert torch.equal(before - 1, after)


def grey(level: int, side: int = 32) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def test_pixels_outside_the_region_count_over_the_whole_frame():
    where = np.zeros((32, 32), bool)
    where[:, :16] = True
    x, y = outside(grey(100), where), outside(grey(151), where)

    # 51 of 255 is a fifth; half of the frame is blackened in both.
    assert mse(x, y) == pytest.approx(0.2**2 / 2)
    assert psnr(x, y) == pytest.approx(10 * math.log10(2 / 0.2**2))
    assert ssim(x, x) == pytest.approx(1)
    # Where all that is compared is level, SSIM is its luminance term: windows that lie in the right half.
    whole = np.zeros((32, 32), bool)
    a, b = 100 / 255, 151 / 255
    luminance = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    # 32-bit shares differ from a and b in the eighth digit.
    assert ssim(outside(grey(100), whole), outside(grey(151), whole)) == pytest.approx(luminance, abs=1e-5)


def test_lpips_of_equal_pictures_is_nothing():
    network = randomised(Lpips())
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1

    assert network(picture, picture) == 0
    assert network(picture, -picture) > 0


def test_lpips_of_level_pictures_by_hand():
    """The first layer picks red and green; of the others nothing is weighed."""
    network = Lpips()
    with torch.no_grad():
        first = network.features[0]
        first.weight.zero_()
        first.bias.zero_()
        first.weight[0, 0, 1, 1] = first.weight[1, 1, 1, 1] = 1
        network.lins[0][0, 0], network.lins[0][0, 1] = 0.5, 2.0
    colours = (0.8, 0.2, 0.0), (0.1, 0.9, 0.0)
    units = []
    for colour in colours:
        red, green = ((colour[i] - SHIFT[i]) / SCALE[i] for i in (0, 1))
        units.append((red / math.hypot(red, green), green / math.hypot(red, green)))
    expected = 0.5 * (units[0][0] - units[1][0]) ** 2 + 2.0 * (units[0][1] - units[1][1]) ** 2

    pictures = (torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 33, 33) for colour in colours)

    assert float(network(*pictures)) == pytest.approx(expected, rel=1e-5)


def test_lpips_is_loaded_from_files_of_the_published_layout(tmp_path):
    squeezenet, lins = lpips_files(tmp_path)
    features, weights = torch.load(squeezenet, weights_only=True), torch.load(lins, weights_only=True)

    network = Lpips.load(squeezenet, lins)

    assert list(features)[:4] == ["features.0.weight", "features.0.bias"] + [
        f"features.3.squeeze.{part}" for part in ("weight", "bias")
    ]
    assert torch.equal(network.features[12].expand3x3.weight, features["features.12.expand3x3.weight"])
    assert torch.equal(network.lins[6], weights["lin6.model.1.weight"])
    with pytest.raises(ValueError, match="are not SqueezeNet"):
        Lpips.load(lins, squeezenet)


def test_structure_is_how_parts_resemble_one_another():
    keys = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    half = math.sqrt(0.5)

    expected = torch.tensor([[1, 0, half], [0, 1, half], [half, half, 1]])

    torch.testing.assert_close(self_similarity(keys), expected)


def test_structure_distance_is_nothing_for_equal_pictures_and_by_hand_for_others(monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    network = dino()

    assert structure_distance(picture, picture, network) == 0
    assert structure_distance(picture, grey(0, 48), network) > 0

    keys = iter([torch.eye(2), torch.ones(2, 2)])
    monkeypatch.setattr("benchmarks.pie_bench.structure.keys", lambda *_: next(keys))
    # Two parts unlike each other, against two alike: two of four cosines differ by one.
    assert structure_distance(picture, picture, network) == pytest.approx(0.5)  # a root of two, squared in float32


def test_dino_is_shown_levels_as_if_they_were_shares():
    shown = as_input(grey(100, 512))

    assert shown.shape == (1, 3, SIDE, SIDE)
    for channel in range(3):
        torch.testing.assert_close(
            shown[0, channel], torch.full((SIDE, SIDE), (100 - MEAN[channel]) / DEVIATION[channel])
        )


def test_clip_similarity_is_a_hundred_cosines_and_never_negative():
    model, processor = clip()
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    prompts = ["a cat", "a dog at night", "the red car", "on a beach"]
    pixels = processor.image_processor([picture], return_tensors="pt")["pixel_values"]
    cosines = []
    with torch.no_grad():
        of_picture = model.get_image_features(pixel_values=pixels).pooler_output
        for prompt in prompts:
            of_text = model.get_text_features(**processor.tokenizer([prompt], return_tensors="pt")).pooler_output
            cosines.append(float(torch.cosine_similarity(of_picture, of_text)))

    scores = [clip_similarity(picture, prompt, model, processor) for prompt in prompts]

    assert scores == pytest.approx([max(0, 100 * cosine) for cosine in cosines], abs=1e-3)
    model.text_projection.weight.data.neg_()
    opposite = [clip_similarity(picture, prompt, model, processor) for prompt in prompts]
    assert all(score == 0 or other == 0 for score, other in zip(scores, opposite, strict=True))


def test_the_edited_part_is_the_picture_with_the_rest_blackened():
    where = np.zeros((4, 4), bool)
    where[1, 2] = True

    shown = inside(grey(70, 4), where)

    assert (shown[1, 2].tolist(), int(shown.sum())) == ([70, 70, 70], 210)


def test_what_cannot_be_told_is_left_out_of_the_means(a_set):
    networks = Networks(clip=clip()[0], processor=clip()[1], dino=dino(), lpips=randomised(Lpips()))
    everything, nothing = a_set({"mask": [0, 32 * 32]}, {"mask": []})

    whole = measured(everything, everything.image(), networks)
    same = measured(nothing, nothing.image(), networks)
    other = measured(nothing, Image.new("RGB", (32, 32)), networks)

    assert {name for name, value in whole.items() if value is None} == {"psnr", "lpips", "mse", "ssim"}
    assert {name for name, value in same.items() if value is None} == {"psnr"}
    assert (same["mse"], same["lpips"], same["structure_distance"]) == (0, 0, 0)
    mean = means([whole, same, other])
    assert mean["psnr"] == pytest.approx(other["psnr"], abs=1e-4)
    assert mean["mse_e4"] == pytest.approx(1e4 * other["mse"] / 2, abs=1e-4)
    assert means([whole])["ssim_e2"] is None


def randomised(network: Lpips) -> Lpips:
    with torch.no_grad():
        for lin in network.lins:
            lin.uniform_(0.1, 1)
    return network


def lpips_files(folder: Path) -> tuple[Path, Path]:
    """Random weights under the published names."""
    made = randomised(Lpips())
    squeezenet, lins = folder / "squeezenet.pth", folder / "squeeze.pth"
    classifier = {"classifier.1.weight": torch.zeros(1)}
    torch.save({f"features.{name}": w for name, w in made.features.state_dict().items()} | classifier, squeezenet)
    torch.save({f"lin{i}.model.1.weight": lin.data for i, lin in enumerate(made.lins)}, lins)
    assert len(TAPS) == len(made.lins) == 7
    return squeezenet, lins


def dino() -> ViTModel:
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=SIDE, patch_size=56
    )
    return ViTModel(config, add_pooling_layer=False).eval()


def clip() -> tuple[CLIPModel, CLIPProcessor]:
    torch.manual_seed(0)
    words = tiny.tokenizer(60)
    shared = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = shared | {"vocab_size": len(words), "max_position_embeddings": 60, "eos_token_id": words.eos_token_id}
    vision = shared | {"image_size": 32, "patch_size": 8}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    image_processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return CLIPModel(config).eval(), CLIPProcessor(image_processor=image_processor, tokenizer=words)


@pytest.mark.usefixtures("font")
def test_the_whole_command_on_a_drawn_set(tmp_path, monkeypatch, capsys):
    draw_set(tmp_path / "set", each=2)
    pipeline = tiny.pipeline(limit=60, sample_size=32)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.save_pretrained(tmp_path / "model")
    for part in clip():
        part.save_pretrained(tmp_path / "clip")
    dino().save_pretrained(tmp_path / "dino")
    squeezenet, lins = lpips_files(tmp_path)
    arguments = {
        "--data": "set", "--model": "model", "--clip": "clip", "--dino": "dino", "--keep": "edited",
        "--squeezenet": squeezenet.name, "--lpips": lins.name,
    }  # fmt: skip
    given = [str(part) for name, value in arguments.items() for part in (name, tmp_path / value)]
    monkeypatch.setattr(sys, "argv", ["pie_bench", *given, "--quick"])

    with torch.no_grad():
        command.main()

    report = json.loads(capsys.readouterr().out)
    names = {published for published, _ in METRICS.values()}
    # A style changes everything: nothing is left to be preserved.
    preservation = {"psnr", "lpips", "mse", "ssim"}
    assert (report["items"], report["skipped"]) == (6, {f"no_{name}": 1 for name in preservation})
    style = {published for published, value in report["by_type"]["change_style"].items() if value is None}
    assert style == {METRICS[name][0] for name in preservation}
    assert report["metrics"].keys() == names
    assert all(isinstance(value, float) for value in report["metrics"].values())
    assert len(report["by_type"]) == len(DRAWN)
    assert {row["items"] for row in report["by_type"].values()} == {1}
    assert all(row.keys() == names | {"items"} for row in report["by_type"].values())
    assert len(list((tmp_path / "edited").glob("*.png"))) == 6


@pytest.mark.usefixtures("font")
def test_a_drawn_set_is_of_the_published_format(tmp_path):
    draw_set(tmp_path)

    by_type = {item.type_id: item for item in items(tmp_path)}

    assert by_type.keys() == DRAWN.keys()
    assert by_type["1"].blended
    assert by_type["1"].blended[0] == "cat"
    assert by_type["8"].blended is None
    for item in by_type.values():
        where = region(item.runs, *item.image().size)
        assert where.mean() < 1 or item.type_id == "9"
        assert spec_of(item).targets


def test_the_command_that_is_shown_is_one_that_is_taken(monkeypatch):
    """docs/quality.md shows it; its data and networks are not ours to bring, so it is read and not run."""
    text = (Path(__file__).parents[3] / "docs" / "quality.md").read_text(encoding="utf-8")
    block = text.split("```sh\n")[1].split("```")[0].replace("\\\n", " ")
    monkeypatch.setattr(sys, "argv", shlex.split(block)[2:])

    arguments = command._arguments()

    assert (str(arguments.data), arguments.model) == ("DIR", "ID")
