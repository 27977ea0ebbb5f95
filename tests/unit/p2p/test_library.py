"""The library in three lines, as docs/library.md shows it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL.Image import Image
from pydantic import ValidationError

from p2p.change.choosing import explicit
from p2p.edit import edit, edit_again_steps, edit_steps
from p2p.errors import SeedNotDrawn
from p2p.library import OpenModel, open_model
from p2p.seeds import drawn
from p2p.spec import EditSpec
from tests import tiny

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> OpenModel:
    folder = tmp_path_factory.mktemp("model")
    tiny.save(folder)
    return open_model(str(folder))


def edits_of(model: OpenModel, *prompts: str, monkeypatch, **asked: object) -> list:
    """What is asked of the sampler for some prompts."""
    specs: list[EditSpec] = []
    monkeypatch.setattr("p2p.library.edit", lambda spec, family: specs.append(spec))
    model.edit(*prompts, **asked)
    return [
        ([each.kind for each in target.edits], target.local_blend is not None) for target in explicit(specs[0]).targets
    ]


def test_the_three_lines_that_are_shown_make_two_pictures(monkeypatch):
    text = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from p2p\.library.*?)```", text, re.DOTALL)
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}

    exec(compile(code, "docs/library.md", "exec"), names)

    source, dog = names["source"], names["dog"]
    assert isinstance(source, Image)
    assert not np.array_equal(source, dog)
    assert sum(bool(line) for line in code.splitlines()) == 3


def test_they_are_those_of_the_whole_spec(model):
    short = model.edit("a cat on a beach", "a dog on a beach", blend="dog", steps=2, seed=3)

    target = {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}], "local_blend": {"words": [{"word": "dog"}]}}
    spec = {"source": {"prompt": "a cat on a beach"}, "targets": [target], "sampling": {"steps": 2, "seed": 3}}
    whole = edit(EditSpec.model_validate(spec), model.family)
    assert [np.asarray(one).tolist() for one in short.images] == [np.asarray(one).tolist() for one in whole.images]


def test_the_words_choose_the_edit(model, monkeypatch):
    prompts = ("a cat", "a dog", "a big cat", "a cat")

    found = edits_of(model, *prompts, blend="big", weights={"cat": 2}, monkeypatch=monkeypatch)

    assert found == [(["replace"], True), (["refine", "reweight"], True), (["reweight"], False)]


def test_a_word_that_no_prompt_holds_is_refused(model):
    with pytest.raises(ValueError, match="'dgo' is in none of the edited prompts"):
        model.edit("a cat", "a dog", blend="dgo")
    with pytest.raises(ValueError, match="'cow'"):
        model.edit("a cat", "a dog", weights={"cow": 2})


def test_what_changes_nothing_is_refused(model):
    with pytest.raises(ValidationError):
        model.edit("a cat", "a cat")


def test_a_prompt_alone_gives_its_picture_with_its_maps(model):
    made = model.edit("a cat", steps=1)

    assert (len(made.images), len(made.maps)) == (1, 1)


def test_a_call_that_names_no_seed_takes_0_and_gives_the_same_pictures(model):
    plain, named = (model.edit("a cat", "a dog", steps=2, **seed) for seed in ({}, {"seed": 0}))

    assert plain.seed == 0
    assert np.array_equal(plain.images[1], named.images[1])


def test_a_call_may_have_its_seed_drawn_and_is_told_which(model):
    one = model.edit("a cat", "a dog", steps=2, seed=-1)

    again = model.edit("a cat", "a dog", steps=2, seed=one.seed)
    assert one.seed >= 0
    assert np.array_equal(one.images[1], again.images[1])


def test_a_spec_whose_seed_is_to_be_drawn_does_not_run_as_it_is(model):
    target = {"prompt": "a dog", "edits": [{"kind": "replace"}]}
    for sampling in ({"seed": -1}, {"seeds": [1, -1]}):
        spec = EditSpec.model_validate({"source": {"prompt": "a cat"}, "targets": [target], "sampling": sampling})
        with pytest.raises(SeedNotDrawn):
            list(edit_steps(spec, model.family))
        assert len(list(edit_steps(drawn(spec), model.family))) > 1


def test_a_source_that_was_kept_without_a_seed_is_found_again(model):
    """What a kept source is found by has a seed in it, whether one was named or not."""
    target = {"prompt": "a dog", "edits": [{"kind": "replace"}]}
    body = {"source": {"prompt": "a cat"}, "targets": [target], "sampling": {"steps": 2}}
    spec = EditSpec.model_validate(body)
    kept = edit(spec, model.family, keep=True).trajectory

    for same in (spec, spec.of_seeds(0)):
        assert list(edit_again_steps(same, model.family, kept))
