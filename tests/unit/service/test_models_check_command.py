"""`admin models check`: what it says of a models file, and of a declaration that may not be."""

import re

import pytest

from admin.__main__ import check_models
from jobs.catalogue import load_catalogue
from jobs.errors import InvalidCatalogue
from tests.admin_command import admin
from tests.cached_hub import COMMIT, ROOT, cached, python
from tests.declared import declared as declaration
from tests.json_files import changed


def test_the_command_goes_through_all_models_and_ends_with_1_where_one_is_wrong(model, saved, tmp_path):
    changed(model / "model_index.json", scheduler=["diffusers", "EDMEulerScheduler"])
    file = tmp_path / "models.toml"
    file.write_text(declaration("spoilt") + declaration("whole").replace('"model"', f'"{saved}"'))

    ran = admin(file)

    assert ran.stdout.splitlines()[0] == "spoilt: cannot be served"
    assert ran.stdout.splitlines()[1].startswith("  - scheduler is EDMEulerScheduler")
    assert ran.stdout.splitlines()[2] == "whole: reads 24 tokens"
    assert (ran.returncode, ran.stderr.strip()) == (1, f"1 of 2 models of {file} cannot be served")


#: Lines of a declaration that may not be, and what is said of each.
MISDECLARED = {
    "unknown field": (
        "",
        'tokeniser = "x"',
        "unknown field `tokeniser`: the known ones are `id`, `description`, `path`,",
    ),
    "unknown inner field": (
        "steps = 3,",
        "steps = 3, step = 3,",
        "unknown field `defaults.step`: the known ones are `s",
    ),
    "missing": ('path = "model"', "", "`path` is missing: add it (A directory relative to the file; with `revision`, "),
    "missing table": ("limits =", "patience = {}\n#", "`limits` is missing: add it, with `max_steps`, `max_targets`"),
    "missing side": ("32, 32", "32", "`sizes[0][1]` is missing: add it"),
    "too small": ("", "max_tokens = 0", "`max_tokens` is 0: it must be 1 or more"),
    "too large": (
        "guidance_scale = 3.0",
        "guidance_scale = 99",
        "`defaults.guidance_scale` is 99: it must be 50 or less",
    ),
    "unknown name": ("", 'scheduler = "dpm"', "`scheduler` is \"dpm\": it must be one of 'ddim', 'ddpm',"),
    "of no type": ("", "vocabulary = 3", "`vocabulary` is 3: it must be a list or a string"),
    "entry of no type": ("", 'vocabulary = ["a", 3]', "`vocabulary[1]` is 3: it must be a string"),
    "no number": ("steps = 3,", 'steps = "many",', '`defaults.steps` is "many": it must be a whole number'),
    "a window beyond the run": (
        "steps = 3,",
        "steps = 3, cross_window = { stop = 2 },",
        "`defaults.cross_window.stop`: 2 is beyond 1, the end of the run: shorten it",
    ),
    "an unknown field of a window": (
        "steps = 3,",
        "steps = 3, self_window = { end = 1 },",
        "unknown field `defaults.self_window.end`: the known ones are `start`, `stop`, `unit`",
    ),
    "nothing in a list": ("[[32, 32]]", "[]", "`sizes` is []: it must be a list of 1 or more"),
    "no table": ("{ max_steps = 40, max_targets = 3 }", "3", "`limits` is 3: it must be a table, with `max_steps`, "),
    "name": ('id = "odd"', 'id = "odd one"', '`id` is "odd one": it must be a string that matches ^[A-Za-z0-9]'),
    "two fields": (
        "steps = 3,",
        "steps = 300,",
        "300 default steps are more than max_steps 40: lower `defaults.steps`",
    ),
    "no vocabulary": ("", 'vocabulary = "gone.txt"', "no vocabulary at "),
    "no path": ('path = "model"', 'path = "a\\u0000b"', "`path` is "),
    "a path too long": ("", f'tokenizer = "{"x" * 5000}"', "`tokenizer` is "),
    "no file's name": ("", f'vocabulary = "{"x" * 5000}"', "no vocabulary at "),
    "a LoRA's weight": (
        "",
        'loras = [{ path = "a", weight = 5 }]',
        "`loras[0].weight` is 5: it must be 2 or less",
    ),
    "a weight that is no number": (
        "",
        'loras = [{ path = "a", weight = nan }]',
        "`loras[0].weight` is NaN: it must be",
    ),
    "a LoRA without a path": ("", "loras = [{ weight = 1 }]", "`loras[0].path` is missing: add it"),
    "a LoRA twice": (
        "",
        'lora_choices = [{ id = "a", path = "x" }, { id = "a", path = "y" }]',
        "`lora_choices` has a twice: give each its own name",
    ),
    "no precision": ("", 'torch_dtype = "int8"', "`torch_dtype` is \"int8\": it must be one of 'float32', 'float16'"),
    "no token": ("", 'embeddings = [{ path = "a", token = "" }]', '`embeddings[0].token` is "": it must be'),
    "repeated": (
        'id = "odd"',
        'id = "whole"',
        "`id` is whole, and an earlier model of the file has it: give each its ",
    ),
}


@pytest.mark.parametrize(("old", "new", "line"), MISDECLARED.values(), ids=MISDECLARED)
def test_a_declaration_that_may_not_be_is_one_plain_line_and_the_other_models_are_checked(
    model, tmp_path, capsys, old, new, line
):
    odd = declaration("odd")
    file = tmp_path / "models.toml"
    file.write_text(declaration("whole") + (odd.replace(old, new) if old else f"{odd}{new}\n"))

    with pytest.raises(SystemExit, match=f"^1 of 2 models of {file} cannot be served$"):
        check_models(file)
    with pytest.raises(InvalidCatalogue) as refused:
        load_catalogue(file)

    first, name, said = capsys.readouterr().out.splitlines()
    assert first == "whole: reads 24 tokens"
    assert said.startswith(f"  - {line}")
    assert str(refused.value) == f"{file}: model {name.removesuffix(': cannot be served')}: {said.removeprefix('  - ')}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["it declares no model: add a table [[models]]"]),
        ("models = 3", ["it declares no model: add a table [[models]]"]),
        ("[models]", ["it declares no model: add a table [[models]]"]),
        (
            "[[model]]",
            ["unknown field `model`: the known one is `models`", "it declares no model: add a table [[models]]"],
        ),
    ],
)
def test_what_is_wrong_with_the_whole_file_is_said_in_plain_lines(tmp_path, capsys, text, lines):
    file = tmp_path / "models.toml"
    file.write_text(text)

    with pytest.raises(SystemExit, match="cannot be used"):
        check_models(file)

    assert capsys.readouterr().out.splitlines() == [f"{file}: {line}" for line in lines]
    with pytest.raises(InvalidCatalogue) as refused:
        load_catalogue(file)
    assert str(refused.value).splitlines() == [f"{file}: {line}" for line in lines]


def test_everything_that_is_wrong_with_a_declaration_is_said_without_pydantics_words(tmp_path):
    file = tmp_path / "models.toml"
    file.write_text("[[models]]\ncolour = 1\nmax_tokens = 0\n")

    with pytest.raises(InvalidCatalogue) as refused:
        load_catalogue(file)

    lines = str(refused.value).splitlines()
    assert len(lines) == 8  # six fields are missing
    assert all(line.startswith(f"{file}: model number 1: ") for line in lines)
    assert not re.search("pydantic|Tuple|input_", str(refused.value))


def test_the_command_ends_with_0_where_nothing_is_wrong():
    ran = admin(ROOT / "models.toml")

    said = [
        "scenes: reads 32 tokens; has 1 LoRA that requests may name",
        "scenes-tokens: reads 32 tokens",
        "scenes-flow: reads 32 tokens",
    ]
    assert (ran.returncode, ran.stdout.splitlines(), ran.stderr) == (0, said, "")


def test_the_tables_that_are_shown_declare_models(tmp_path):
    shown = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/models.md").read_text(encoding="utf-8"), re.DOTALL)
    tables = [block for block in shown if block.startswith("[[models]]")]
    lines = "".join(block for block in shown if block not in tables)  # of any table
    (tmp_path / "models.toml").write_text("".join(tables) + lines)

    catalogue = load_catalogue(tmp_path / "models.toml")

    assert catalogue["painter"].config == str(tmp_path / "sd15-config")
    assert (len(catalogue["painter"].loras), len(catalogue["painter"].embeddings)) == (1, 1)
    declared = catalogue["sd15"]

    assert (declared.tokenizer, declared.max_tokens) == (None, None)
    assert len(declared.revision) == 40


def test_a_models_file_that_cannot_be_read_is_one_line(tmp_path):
    ran = admin(tmp_path / "none.toml")

    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)


def test_a_model_on_the_hub_is_checked_by_its_small_files(model, tmp_path):
    changed(model / "unet/config.json", in_channels=9)
    cached(tmp_path / "cache", "somebody/painter", model)
    declared = declaration("hub").replace('path = "model"', f'path = "somebody/painter"\nrevision = "{COMMIT}"')
    (tmp_path / "models.toml").write_text(declared)

    ran = python(
        "import sys; sys.argv[1:] = ['models', 'check']; from admin.__main__ import main; main()",
        tmp_path / "cache",
        MODELS_FILE=str(tmp_path / "models.toml"),
    )

    assert "in_channels 9" in ran.stdout, ran.stderr
    assert ran.returncode == 1
