"""Textual inversions as words: read, counted and named alike by the API and by the workers."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from jobs.catalogue import load_catalogue
from jobs.errors import InvalidCatalogue
from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families import load
from p2p.layouts import LAYOUTS
from p2p.layouts.model_files import EmbeddingFile, ModelFiles
from p2p.tokens import tokenize
from prompts.counting import TokenCounter, counter_of
from tests.json_files import changed
from tests.short_specs import spec

pytestmark = pytest.mark.needs("latents")


DECLARED = """
[[models]]
id = "tiny"
path = "model"
family = "{family}"
vocabulary = ["a", "cat", "on", "the", "beach"]
sizes = [[32, 32]]
defaults = {{ steps = 3, guidance_scale = 3.0 }}
limits = {{ max_steps = 40, max_targets = 3 }}
embeddings = [
    {{ path = "toy.safetensors", token = "<cat-toy>" }},
    {{ path = "bad.safetensors", token = "EasyBad" }},
    {{ path = "sks.safetensors", token = "sks" }},
]
"""
#: Of each family, what the tensors of its textual inversions are called, and how wide they are. One alone has any name.
WIDTHS = {"stable_diffusion": {"any": 16}, "stable_diffusion_xl": {"clip_l": 16, "clip_g": 32}}


@pytest.fixture(scope="module")
def declared(family_name) -> str:
    return DECLARED.format(family=family_name)


@pytest.fixture(scope="module")
def saved(build, family_name, declared, tmp_path_factory) -> Path:
    """A folder with the tiny model, three textual inversions of 1, 3 and 1 vectors, and a models file of them."""
    folder = tmp_path_factory.mktemp("saved")
    build().save_pretrained(folder / "model")
    torch.manual_seed(3)
    # One vector is a tensor of one axis as diffusers writes it, and Automatic1111 calls one of any number `emb_params`.
    for file, one, sides in (("toy", "<cat-toy>", ()), ("bad", "emb_params", (3,)), ("sks", "sks", (1,))):
        widths = {one if name == "any" else name: width for name, width in WIDTHS[family_name].items()}
        save_file({name: torch.randn(*sides, width) for name, width in widths.items()}, folder / f"{file}.safetensors")
    (folder / "models.toml").write_text(declared)
    return folder


@pytest.fixture(scope="module")
def files(saved) -> ModelFiles:
    return ModelFiles.of(load_catalogue(saved / "models.toml")["tiny"])


@pytest.fixture(scope="module")
def family(files, family_name):
    return load(family_name, files)


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


def test_a_tokenizer_that_fills_and_cuts_learns_the_same_words(saved, declared, counter):
    tokenizer = Tokenizer.from_file(str(saved / "model/tokenizer/tokenizer.json"))
    tokenizer.enable_padding(length=10)
    tokenizer.enable_truncation(10)
    tokenizer.save(str(saved / "filling.json"))
    (saved / "filling.toml").write_text(f'{declared}tokenizer = "filling.json"\nmax_tokens = 24\n')

    filling = counter_of(load_catalogue(saved / "filling.toml")["tiny"])

    for prompt in PROMPTS:
        assert filling.tokenized(prompt, 24) == counter.tokenized(prompt, 24)


def test_text_around_a_learned_word_is_read_as_it_was(counter, saved):
    plain = TokenCounter(saved / "model")

    for prompt in ("masks", "easybads", "a cat on the beach"):
        assert counter.tokenized(prompt, 24) == plain.tokenized(prompt, 24)


@pytest.fixture(scope="module")
def readers(family, family_name):
    """The model's tokenizers and text encoders, with the names of their tensors in a textual inversion."""
    names = WIDTHS[family_name]
    return [
        (getattr(family.pipeline, reader.tokenizer), getattr(family.pipeline, reader.encoder), name)
        for reader, name in zip(LAYOUTS[family_name].readers, names, strict=True)
    ]


def test_the_text_encoders_see_the_vectors_of_the_files(readers, files):
    for tokenizer, encoder, name in readers:
        table = encoder.get_input_embeddings().weight
        for word, each in zip(tokenizer.learned.words, files.embeddings, strict=True):
            tensors = load_file(each.path)
            (learned,) = tensors.values() if name == "any" else [tensors[name]]
            assert torch.equal(table[list(word.ids)], learned.reshape(len(word.ids), -1))
        ids = [token for word in tokenizer.learned.words for token in word.ids]
        assert len(set(ids)) == len(ids) == 5


@given(
    st.lists(st.sampled_from(["a", "cat", "<cat-toy>", "EASYBAD", "sks", "sks's", "x<cat-toy>y", "é", ",", "(", "1"]))
)
def test_every_text_encoder_reads_a_prompt_at_the_same_places(readers, written):
    """Without "!": the second tokenizer of SDXL takes those of a prompt for its padding."""
    prompt = " ".join(written)
    read = [tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"] for tokenizer, _, _ in readers]

    assert all(places == read[0] for places in read)


def test_a_prompts_single_vector_is_that_of_its_end_and_not_of_its_learned_word(build, saved, family_name):
    """Published configurations call the end token 2; transformers then takes the highest number's place for it."""
    folder = saved / "published"
    shutil.copytree(saved / "model", folder)
    for part in (reader.encoder for reader in LAYOUTS[family_name].readers):
        changed(folder / part / "config.json", eos_token_id=2)
    embeddings = (EmbeddingFile(str(saved / "toy.safetensors"), "<cat-toy>"),)
    published = load(family_name, ModelFiles(str(folder), embeddings=embeddings))
    named = load(family_name, ModelFiles(str(saved / "model"), embeddings=embeddings))

    for prompt in ("a <cat-toy> on the beach", "a cat"):
        for one, other in zip(
            *(each.encode_prompts([prompt]).named().values() for each in (published, named)), strict=True
        ):
            assert torch.equal(one, other)


def test_other_prompts_have_the_pictures_of_the_model_without_learned_words(family, saved, family_name):
    asked = spec({"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]})

    assert torch.equal(edit(asked, family).latents, edit(asked, load(family_name, str(saved / "model"))).latents)


@pytest.mark.parametrize("word", ["<cat-toy>", "EasyBad"])
def test_a_learned_word_is_replaced_turned_up_and_mapped(family, word):
    source = {"prompt": "a cat on the beach"}
    swapped = {"prompt": f"a {word} on the beach", "edits": [{"kind": "refine"}]}
    louder = {**swapped, "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": [{"word": word, "weight": 4}]}]}

    made = edit(spec(swapped, louder, source=source), family)

    maps = [{each.word: each.map for each in prompt} for prompt in made.maps]
    assert maps[2][word.strip("<>")].mean() > 2 * maps[1][word.strip("<>")].mean()
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
def test_a_token_that_cannot_be_a_word_is_refused_by_the_api_and_by_the_workers(
    saved, declared, family_name, token, said
):
    toy = str(saved / "toy.safetensors")
    text = declared.replace('token = "sks"', f'token = "{token}"').replace('path = "', f'path = "{saved}/')
    (saved / "odd.toml").write_text(text)

    with pytest.raises(InvalidCatalogue, match=re.escape(said)):
        counter_of(load_catalogue(saved / "odd.toml")["tiny"])
    with pytest.raises(UnsupportedModel, match=re.escape(said)):
        load(family_name, ModelFiles(str(saved / "model"), embeddings=(EmbeddingFile(toy, token),)))


def test_two_learned_words_that_are_written_alike_are_refused(saved, declared):
    (saved / "twice.toml").write_text(declared.replace('token = "sks"', 'token = "EASYBAD"'))

    with pytest.raises(InvalidCatalogue, match="`embeddings` has easybad twice: give each its own name"):
        load_catalogue(saved / "twice.toml")


def _of(*widths: int, vectors: tuple[int, int] = (1, 1)) -> dict[str, torch.Tensor]:
    sides = zip(vectors, widths, strict=True)
    return {name: torch.zeros(side) for name, side in zip(("clip_l", "clip_g"), sides, strict=True)}


#: Files that are no textual inversion of the model, and what is said, by family.
OTHER_FILES = {
    "stable_diffusion": {
        "SDXL": (_of(16, 32), "of SDXL, and this model has one text encoder"),
        "a half of SDXL's": ({"clip_l": torch.zeros(1, 16)}, "of SDXL, and this model has one text encoder"),
        "another width": ({"x": torch.zeros(2, 24)}, "vectors of 24 numbers, and this model's text_encoder has 16"),
        "longer than a prompt": ({"x": torch.zeros(23, 16)}, "23 vectors, and the text_encoder reads 24 tokens with"),
        "two words": ({"x": torch.zeros(16), "y": torch.zeros(16)}, "holds x [16], y [16], and a textual inversion is"),
        "a number": ({"x": torch.tensor(1.0)}, "holds x [], and a textual inversion is one tensor"),
        "no vector": ({"x": torch.zeros(0, 16)}, "has no vectors"),
        "nothing": ({}, "holds nothing"),
    },
    "stable_diffusion_xl": {
        "Stable Diffusion": (
            {"emb_params": torch.zeros(2, 16)},
            "holds emb_params [2, 16], and a textual inversion of this model is clip_l for its text_encoder and clip_g "
            "for its text_encoder_2: name a textual inversion of this model's family",
        ),
        "the first alone": ({"clip_l": torch.zeros(1, 16)}, "holds clip_l [1, 16], and a textual inversion of this"),
        "the second alone": ({"clip_g": torch.zeros(1, 32)}, "holds clip_g [1, 32], and a textual inversion of this"),
        "another name": ({"clip_l": torch.zeros(1, 16), "x": torch.zeros(1, 32)}, "holds clip_l [1, 16], x [1, 32]"),
        "a third": (_of(16, 32) | {"t5": torch.zeros(1, 8)}, "t5 [1, 8], and a textual inversion of this model is"),
        "another first width": (_of(24, 32), "vectors of 24 numbers in clip_l, and this model's text_encoder has 16"),
        "another second width": (_of(16, 24), "of 24 numbers in clip_g, and this model's text_encoder_2 has 32"),
        "exchanged": (_of(32, 16), "of 32 numbers in clip_l, and this model's text_encoder has 16"),
        "other numbers of vectors": (
            _of(16, 32, vectors=(2, 3)),
            "has 2 vectors in clip_l and 3 vectors in clip_g, and a word is as many tokens for each text encoder",
        ),
        "longer than a prompt": (_of(16, 32, vectors=(23, 23)), "23 vectors in clip_l, and the text_encoder reads"),
        "a number": (_of(16, 32) | {"clip_g": torch.tensor(1.0)}, "holds clip_g [], clip_l [1, 16], and a"),
        "no vector": (_of(16, 32, vectors=(0, 0)), "has no vectors in clip_l"),
        "nothing": ({}, "holds nothing"),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("family_name", "state", "said"),
    [(family, state, said) for family, cases in OTHER_FILES.items() for state, said in cases.values()],
    ids=[f"{family}-{case}" for family, cases in OTHER_FILES.items() for case in cases],
    indirect=["family_name"],
    scope="module",
)
def test_a_file_that_is_no_textual_inversion_of_the_model_is_refused(
    saved, tmp_path, family_name, declared, state, said
):
    save_file(state, tmp_path / "other.safetensors")
    file = EmbeddingFile(str(tmp_path / "other.safetensors"), "<other>")

    with pytest.raises(UnsupportedModel, match=re.escape(said)):
        load(family_name, ModelFiles(str(saved / "model"), embeddings=(file,)))


#: Those that the API, which does not read how wide a text encoder is, cannot count with.
@pytest.mark.parametrize(
    ("state", "said"),
    [
        (OTHER_FILES["stable_diffusion_xl"][case][0], OTHER_FILES["stable_diffusion_xl"][case][1])
        for case in ("Stable Diffusion", "the second alone", "other numbers of vectors", "no vector")
    ],
)
@pytest.mark.parametrize("family_name", ["stable_diffusion_xl"], indirect=True, scope="module")
def test_a_file_that_cannot_be_counted_with_is_refused_by_the_api(saved, declared, tmp_path, state, said):
    save_file(state, tmp_path / "other.safetensors")
    text = declared.replace("sks.safetensors", str(tmp_path / "other.safetensors"))
    (saved / "uncounted.toml").write_text(text)

    with pytest.raises(InvalidCatalogue, match=re.escape(said)):
        counter_of(load_catalogue(saved / "uncounted.toml")["tiny"])


@pytest.mark.parametrize("family_name", ["stable_diffusion_xl"], indirect=True, scope="module")
def test_a_token_that_one_of_two_tokenizers_cuts_is_refused_by_the_api_and_by_the_workers(saved, declared, family_name):
    """The second one has "!" for its padding."""
    (saved / "cut.toml").write_text(declared.replace('token = "sks"', 'token = "sks!x"'))
    file = EmbeddingFile(str(saved / "sks.safetensors"), "sks!x")

    with pytest.raises(InvalidCatalogue, match="does not read 'sks!x' as one word"):
        counter_of(load_catalogue(saved / "cut.toml")["tiny"])
    with pytest.raises(UnsupportedModel, match="does not read 'sks!x' as one word"):
        load(family_name, ModelFiles(str(saved / "model"), embeddings=(file,)))


def test_a_learned_word_belongs_to_the_declared_vocabulary(saved):
    known = load_catalogue(saved / "models.toml")["tiny"].known_words

    assert {"cat-toy", "easybad", "sks", "beach"} <= known
