"""What the API knows of models of pixels without torch: how their prompts are read, and what their files lack."""

import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from admin.models_check import checked, remarks
from jobs.catalogue import load_catalogue
from p2p.errors import UnsupportedModel
from p2p.layouts import LAYOUTS
from p2p.layouts.checks import described, wrong
from p2p.layouts.enlarging import beyond_stages, cell_of
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.reach import Reach, nearest
from p2p.spec import EditSpec
from prompts.counting import counter_of
from prompts.schedulers import cutting_off
from service.edits.resolving import resolved
from service.http.errors import InvalidEdit
from tests import tiny_upscaler
from tests.declared import declared

GOLDEN = Path(__file__).parents[2] / "parity" / "families"
FOLDERS = {"deepfloyd_if": GOLDEN / "if" / "pipeline", "unclip": GOLDEN / "unclip" / "pipeline"}


@pytest.fixture(params=FOLDERS)
def name(request) -> str:
    return request.param


@pytest.fixture
def model(name, tmp_path):
    """The golden model as a models file declares it."""
    file = tmp_path / "models.toml"
    said = declared(path=str(FOLDERS[name])).replace('family = "stable_diffusion"', f'family = "{name}"')
    file.write_text(said)
    return load_catalogue(file)["tiny"]


def troubles(family: str, files: ModelFiles) -> list[str]:
    layout = LAYOUTS[family]
    return [str(trouble) for trouble in wrong(family, layout, files, described(layout, files))]


def test_a_prompt_has_77_tokens_whatever_the_tokenizer_says_and_is_not_read_in_chunks(model):
    counter = counter_of(model)

    assert (counter.limit, counter.most("refuse"), counter.most("chunks")) == (77, 77, 77)


def test_tokens_are_counted_and_placed_as_the_worker_reads_them(model, name):
    counter, own = counter_of(model), AutoTokenizer.from_pretrained(FOLDERS[name] / "tokenizer")

    for prompt in ("a Cat on  the BEACH", "", "zebra, in a blue HOUSE!", "İ and ß"):
        lower = own(prompt.lower() if name == "deepfloyd_if" and prompt.isascii() else prompt)
        if prompt.isascii():
            assert counter.count(prompt) == len(lower.input_ids)
        placed = counter.tokenized(prompt, 77)
        assert all(0 <= start <= stop <= len(prompt) for start, stop in placed.spans)


def test_nothing_is_wrong_with_the_golden_models(name):
    assert troubles(name, ModelFiles(str(FOLDERS[name]))) == []


def test_a_part_that_is_missing_is_named_before_any_weights_are_read(name, tmp_path):
    folder = Path(shutil.copytree(FOLDERS[name], tmp_path / "model"))
    shutil.rmtree(folder / "text_encoder")
    (folder / "text_encoder").mkdir()

    assert any("text_encoder has no weights" in said for said in troubles(name, ModelFiles(str(folder))))


def test_a_further_model_that_is_no_stage_is_refused_by_name(name):
    first = str(FOLDERS["deepfloyd_if"])
    said = " ".join(troubles(name, ModelFiles(str(FOLDERS[name]), stages=(first,))))

    wanted = {"deepfloyd_if": "that of the first stage", "unclip": "unclip takes no further model: take `stages` out"}
    assert wanted[name] in said


def test_each_size_of_a_model_is_checked_by_the_stages_that_make_it(tmp_path):
    tiny_upscaler.pipeline().save_pretrained(tmp_path / "upscaler")
    side = (
        described(LAYOUTS["deepfloyd_if"], ModelFiles(str(FOLDERS["deepfloyd_if"]))).parts["unet"].config["sample_size"]
    )
    file, lines = tmp_path / "models.toml", declared(path=str(FOLDERS["deepfloyd_if"]))
    lines = lines.replace('"stable_diffusion"', '"deepfloyd_if"\nstages = ["upscaler"]')

    def model(*sides: int):
        file.write_text(lines.replace("[[32, 32]]", str([[each, each] for each in sides])))
        return load_catalogue(file)["tiny"]

    small, large = side + 8, 4 * side + 32
    assert checked(model(small, large)) == []
    assert f"makes {small}x{small} by itself, {large}x{large} by 1 stage" in remarks(model(small, large))
    (said,) = checked(model(small, large + 8))
    assert f"the sides of {large + 8}x{large + 8} are no multiples of 32: set `sizes` to " in said
    assert f"[[{small}, {small}], [{large}, {large}]]" in said


def test_what_an_upscaler_lacks_is_named_before_any_weights_are_read(tmp_path):
    tiny_upscaler.pipeline().save_pretrained(tmp_path / "upscaler")
    files = ModelFiles(str(FOLDERS["deepfloyd_if"]), stages=(str(tmp_path / "upscaler"),))
    assert troubles("deepfloyd_if", files) == []

    config = tmp_path / "upscaler" / "vae" / "config.json"
    config.write_text(config.read_text().replace("0.08333", "0.18215"))
    assert "vae has scaling_factor 0.18215, and deepfloyd_if handles 0.08333" in " ".join(
        troubles("deepfloyd_if", files)
    )
    config.write_text(config.read_text().replace("0.18215", "0.08333"))
    (tmp_path / "upscaler" / "text_encoder" / "model.safetensors").unlink()
    assert "text_encoder has no weights" in " ".join(troubles("deepfloyd_if", files))


def test_a_scheduler_in_the_place_of_three_is_refused_by_name():
    layout, files = LAYOUTS["unclip"], ModelFiles(str(FOLDERS["unclip"]))
    said = [str(trouble) for trouble in wrong("unclip", layout, files, described(layout, files, "ddim"))]

    assert said == [
        "ddim is to run in the place of a scheduler, and unclip has one for each of several parts: take `scheduler` out"
    ]


def test_the_sides_of_pictures_are_multiples_of_what_the_networks_halve_and_enlarge(name):
    layout, files = LAYOUTS[name], ModelFiles(str(FOLDERS[name]))
    parts = described(layout, files).parts
    own, *further = layout.draws(parts)

    # Three halvings each; unCLIP's own super-resolution makes two pixels of one here.
    assert cell_of(layout, files, parts, own.side, own.side) == 8
    assert [cell_of(layout, files, parts, reach.side, reach.side) for reach in further] == [16] * (name == "unclip")


@pytest.mark.parametrize(
    ("size", "further"),
    [
        ((64, 64), 0),
        ((96, 64), 0),
        ((128, 128), 1),
        ((256, 256), 1),
        ((192, 256), 1),
        ((768, 1024), 2),
        ((1024, 1024), 2),
    ],
)
def test_a_size_is_made_by_the_models_whose_own_pictures_are_nearest_to_it(size, further):
    reaches = [Reach(1, 64), Reach(4, 256), Reach(16, 1024)]

    assert nearest(reaches, *size) == further


def test_a_size_that_only_a_further_model_could_make_is_refused_by_name():
    layout, files = LAYOUTS["deepfloyd_if"], ModelFiles(str(FOLDERS["deepfloyd_if"]))
    parts = described(layout, files).parts
    side = parts["unet"].config["sample_size"]
    sizes = [(side, side), (side, 2 * side), (4 * side, 4 * side)]

    (trouble,) = beyond_stages(layout, files, parts, sizes)
    assert f"{4 * side}x{4 * side} pixels, and the model makes {side}x{side} by itself" in str(trouble)
    assert "in `stages`" in str(trouble)


def test_files_of_no_model_are_refused(tmp_path):
    with pytest.raises(UnsupportedModel):
        described(LAYOUTS["unclip"], ModelFiles(str(tmp_path)))


def of_a_photo(method: str | None) -> EditSpec:
    return EditSpec.model_validate(
        {
            "source": {"prompt": "a cat", "image": {"upload": "img_0123456789abcdef0123456789abcdef"}},
            "targets": [{"prompt": "a dog", "edits": [{"kind": "replace"}]}],
            "inversion": {"method": method},
        }
    )


def test_an_inversion_that_samples_again_is_refused_where_the_scheduler_cuts_values_off(model):
    known = ({"tiny": model}, {"tiny": counter_of(model)})
    cutting = {"tiny": cutting_off(model) or ""}

    for method in ("ddim", "null_text", "negative_prompt"):
        with pytest.raises(InvalidEdit) as refused:
            resolved(of_a_photo(method), *known, cutting=cutting)
        complaints = [each for each in refused.value.complaints if each.code == "unsupported_inversion"]
        assert [each.pointer for each in complaints] == ["/inversion/method"]
        assert "ask for the inversion direct or edit_friendly" in complaints[0].detail
