"""The tokenizer of a model on the hub: fetched alone, at its revision, from the cache where the hub is offline."""

import shutil

import pytest

from tests import tiny
from tests.cached_hub import COMMIT, cached, python

COUNTED = """
import sys
from pathlib import Path
from jobs.catalogue import load_catalogue
from prompts.counting import token_counters
counters = token_counters(load_catalogue(Path({models!r})))
print(counters["hub"].count("a cat on a beach"), counters["hub"].limit)
print(*sorted({{"torch", "transformers", "diffusers"}} & sys.modules.keys()))
"""


@pytest.fixture
def declared(tmp_path):
    """A models file of one model on the hub, and the program that counts with it."""

    def of(revision: str, **lines: str) -> str:
        fields = {
            "id": '"hub"',
            "path": '"somebody/painter"',
            "revision": f'"{revision}"',
            "family": '"stable_diffusion"',
            "sizes": "[[32, 32]]",
            "defaults": "{ steps = 3, guidance_scale = 3.0 }",
            "limits": "{ max_steps = 40, max_targets = 3 }",
            **lines,
        }
        file = tmp_path / "models.toml"
        file.write_text("[[models]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items()))
        return COUNTED.format(models=str(file))

    return of


@pytest.fixture
def tokenizer_alone(tmp_path):
    """The files of a model that the API fetches, without its weights."""
    tiny.save(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole" / "tokenizer", tmp_path / "part" / "tokenizer")
    return tmp_path / "part"


@pytest.mark.parametrize("revision", [COMMIT, "main"])
def test_a_tokenizer_is_taken_from_the_cache_without_torch(tmp_path, declared, tokenizer_alone, revision):
    cached(tmp_path / "cache", "somebody/painter", tokenizer_alone)

    ran = python(declared(revision), tmp_path / "cache")

    assert ran.stdout.splitlines() == ["7 24", ""], ran.stderr


def test_the_revision_decides_which_tokenizer(tmp_path, declared, tokenizer_alone):
    cached(tmp_path / "cache", "somebody/painter", tokenizer_alone, branch="v1")

    ran = python(declared("main"), tmp_path / "cache")

    assert "InvalidCatalogue: model hub: somebody/painter at revision main is not in the cache" in ran.stderr
    assert "hf download somebody/painter --revision main" in ran.stderr


def test_a_tokenizer_that_is_named_needs_no_hub(tmp_path, declared, tokenizer_alone):
    ran = python(declared(COMMIT, tokenizer='"part/tokenizer"'), tmp_path / "empty")

    assert ran.stdout.splitlines() == ["7 24", ""], ran.stderr


def test_a_repository_without_a_tokenizer_says_so(tmp_path, declared):
    (tmp_path / "part" / "text_encoder").mkdir(parents=True)
    (tmp_path / "part" / "text_encoder" / "config.json").write_text("{}")
    cached(tmp_path / "cache", "somebody/painter", tmp_path / "part")

    ran = python(declared(COMMIT), tmp_path / "cache")

    assert "InvalidCatalogue: model hub: no tokenizer at" in ran.stderr
