"""Textual inversions as words: read, counted and named alike by the API and by the workers."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from jobs.catalogue import load_catalogue
from jobs.errors import InvalidCatalogue
from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families import load
from p2p.layouts.model_files import EmbeddingFile, ModelFiles
from p2p.tokens import tokenize
from prompts.counting import TokenCounter, counter_of
from tests import tiny
from tests.unit.p2p.test_edit import spec

FAMILY = "stable_diffusion"
DECLARED = """
[[models]]
id = "tiny"
path = "model"
family = "stable_diffusion"
vocabulary = ["a", "cat", "on", "the", "beach"]
sizes = [[32, 32]]
defaults = { steps = 3, guidance_scale = 3.0 }
limits = { max_steps = 40, max_targets = 3 }
embeddings = [
    { path = "toy.safetensors", token = "<cat-toy>" },
    { path = "bad.safetensors", token = "EasyBad" },
    { path = "sks.safetensors", token = "sks" },
]
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A folder with the tiny model, three textual inversions of 1, 3 and 1 vectors, and a models file of them."""
    folder = tmp_path_factory.mktemp("saved")
    tiny.save(folder / "model")
    torch.manual_seed(3)
    save_file({"<cat-toy>": torch.randn(16)}, folder / "toy.safetensors")  # as diffusers writes it
    save_file({"emb_params": torch.randn(3, 16)}, folder / "bad.safetensors")  # as Automatic1111 does
    save_file({"sks": torch.randn(1, 16)}, folder / "sks.safetensors")
    (folder / "models.toml").write_text(DECLARED)
    return folder


@pytest.fixture(scope="module")
def files(saved) -> ModelFiles:
    return ModelFiles.of(load_catalogue(saved / "models.toml")["tiny"])


@pytest.fixture(scope="module")
def family(files):
    return load(FAMILY, files)


@pytest.fixture(scope="module")
def counter(saved) -> TokenCounter:
    return counter_of(load_catalogue(saved / "models.toml")["tiny"])


PROMPTS = [
    "a <cat-toy> on the beach",
    "<cat-toy>, sks (sks:1.2) sks's",
    "A <CAT-TOY> EASYBAD easybad",
    "masks a<cat-toy>b",
    "easybads",
    "EasyBad",
    "",
    "a cat",
    "é <cat-toy> 你好 sks",
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_api_reads_a_prompt_as_the_workers_do(family, counter, prompt):
    theirs = tokenize(prompt, family.tokenizer)

    assert counter.tokenized(prompt, 24) == theirs
    assert counter.count(prompt) == len(theirs)


@pytest.mark.parametrize(
    ("prompt", "name", "tokens", "words"),
    [
        ("a <cat-toy> on the beach", "<cat-toy>", 1, 1),
        ("a <cat-toy> on the beach", "cat-toy", 1, 1),
        ("a cat sks", "sks", 1, 1),
        ("a cat, EasyBad", "easybad", 3, 1),
    ],
)
def test_a_learned_word_is_named_as_it_is_written_or_without_its_brackets(counter, prompt, name, tokens, words):
    read = counter.tokenized(prompt, 24)

    assert len(read.named(name)) == tokens
    assert [word.tokens for word in read.words() if word.tokens == read.named(name)] == [read.named(name)] * words


def test_a_tokenizer_that_fills_and_cuts_learns_the_same_words(saved, counter):
    tokenizer = Tokenizer.from_file(str(saved / "model/tokenizer/tokenizer.json"))
    tokenizer.enable_padding(length=10)
    tokenizer.enable_truncation(10)
    tokenizer.save(str(saved / "filling.json"))
    (saved / "filling.toml").write_text(f'{DECLARED}tokenizer = "filling.json"\nmax_tokens = 24\n')

    filling = counter_of(load_catalogue(saved / "filling.toml")["tiny"])

    for prompt in PROMPTS:
        assert filling.tokenized(prompt, 24) == counter.tokenized(prompt, 24)


def test_text_around_a_learned_word_is_read_as_it_was(counter, saved):
    plain = TokenCounter(saved / "model")

    for prompt in ("masks", "easybads", "a cat on the beach"):
        assert counter.tokenized(prompt, 24) == plain.tokenized(prompt, 24)


def test_the_text_encoder_sees_the_vectors_of_the_files(family, files):
    from safetensors.torch import load_file

    table = family.pipeline.text_encoder.get_input_embeddings().weight
    for word, each in zip(family.tokenizer.learned.words, files.embeddings, strict=True):
        (learned,) = load_file(each.path).values()
        assert torch.equal(table[list(word.ids)], learned.reshape(-1, 16))
    ids = [token for word in family.tokenizer.learned.words for token in word.ids]
    assert len(set(ids)) == len(ids) == 5


def test_other_prompts_have_the_pictures_of_the_model_without_learned_words(family, saved):
    asked = spec({"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]})

    assert torch.equal(edit(asked, family).latents, edit(asked, load(FAMILY, str(saved / "model"))).latents)


@pytest.mark.parametrize("word", ["<cat-toy>", "EasyBad"])
def test_a_learned_word_is_replaced_turned_up_and_mapped(family, word):
    source = {"prompt": "a cat on the beach"}
    swapped = {"prompt": f"a {word} on the beach", "edits": [{"kind": "refine"}]}
    louder = {**swapped, "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": [{"word": word, "weight": 4}]}]}

    made = edit(spec(swapped, louder, source=source), family)

    assert made.latents.isfinite().all()
    assert (made.latents[1] - made.latents[2]).abs().max() > 1e-3
    inner = word.strip("<>")
    named = {each.word for each in made.prompts[1].words()}
    assert inner in named


#: What may be declared and not be a word, and what is said.
REFUSED = {
    "a word": ("cat", "the token 'cat' is a word of the model already: set `token` to one that is none, such as <cat>"),
    "a word in another case": ("CAT", "is a word of the model already"),
    "a letter": ("x", "is a word of the model already"),
    "a special token": ("<|endoftext|>", "is a word of the model already"),
    "two words": ("my cat", "is not one word: set `token` to letters and digits without spaces"),
    "spaces around it": (" sks ", "is not one word"),
    "punctuation": ("<>", "is not one word"),
}


@pytest.mark.parametrize(("token", "said"), REFUSED.values(), ids=REFUSED)
def test_a_token_that_cannot_be_a_word_is_refused_by_the_api_and_by_the_workers(saved, token, said):
    toy = str(saved / "toy.safetensors")
    text = DECLARED.replace('token = "sks"', f'token = "{token}"').replace('path = "', f'path = "{saved}/')
    (saved / "odd.toml").write_text(text)

    with pytest.raises(InvalidCatalogue, match=re.escape(said)):
        counter_of(load_catalogue(saved / "odd.toml")["tiny"])
    with pytest.raises(UnsupportedModel, match=re.escape(said)):
        load(FAMILY, ModelFiles(str(saved / "model"), embeddings=(EmbeddingFile(toy, token),)))


def test_two_learned_words_that_are_written_alike_are_refused(saved):
    (saved / "twice.toml").write_text(DECLARED.replace('token = "sks"', 'token = "EASYBAD"'))

    with pytest.raises(InvalidCatalogue, match="`embeddings` has easybad twice: give each its own name"):
        load_catalogue(saved / "twice.toml")


#: Files that are no textual inversion of the model.
OTHER_FILES = {
    "SDXL": ({"clip_l": torch.zeros(1, 16), "clip_g": torch.zeros(1, 32)}, "of SDXL, and this model has one text enc"),
    "another width": ({"x": torch.zeros(2, 24)}, "vectors of 24 numbers, and this model's text encoder has 16"),
    "longer than a prompt": ({"x": torch.zeros(23, 16)}, "has 23 vectors, and the text encoder reads 24 tokens"),
    "two words": ({"x": torch.zeros(16), "y": torch.zeros(16)}, "holds x [16], y [16], and a textual inversion is"),
    "a number": ({"x": torch.tensor(1.0)}, "holds x [], and a textual inversion is one tensor"),
    "no vector": ({"x": torch.zeros(0, 16)}, "has no vectors"),
    "nothing": ({}, "holds nothing"),
}


@pytest.mark.parametrize(("state", "said"), OTHER_FILES.values(), ids=OTHER_FILES)
def test_a_file_that_is_no_textual_inversion_of_the_model_is_refused(saved, tmp_path, state, said):
    save_file(state, tmp_path / "other.safetensors")
    file = EmbeddingFile(str(tmp_path / "other.safetensors"), "<other>")

    with pytest.raises(UnsupportedModel, match=re.escape(said)):
        load(FAMILY, ModelFiles(str(saved / "model"), embeddings=(file,)))


def test_a_learned_word_belongs_to_the_declared_vocabulary(saved):
    known = load_catalogue(saved / "models.toml")["tiny"].known_words

    assert {"cat-toy", "easybad", "sks", "beach"} <= known
