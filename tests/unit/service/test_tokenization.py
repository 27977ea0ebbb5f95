"""The API's tokenizers, made of whatever files a model has, are those that transformers makes of them."""

import json
import shutil
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer, T5Tokenizer

from jobs.catalogue import load_catalogue
from jobs.errors import InvalidCatalogue
from prompts.counting import counter_of
from prompts.tokenization.opened import open_tokenizer
from tests import tiny

START, END = tiny.START, tiny.END

#: As in the repositories of SD 1.x: their tokens are matched in the text after it was normalised.
NORMALIZED = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
SD_1 = {
    "tokenizer_config.json": {
        "add_prefix_space": False,
        "bos_token": {"__type": "AddedToken", "content": START, **NORMALIZED},
        "eos_token": {"__type": "AddedToken", "content": END, **NORMALIZED},
        "unk_token": {"__type": "AddedToken", "content": END, **NORMALIZED},
        "pad_token": END,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 77,
        "name_or_path": "openai/clip-vit-large-patch14",
        "special_tokens_map_file": "./special_tokens_map.json",
        "tokenizer_class": "CLIPTokenizer",
    },
    "special_tokens_map.json": {
        "bos_token": {"content": START, **NORMALIZED},
        "eos_token": {"content": END, **NORMALIZED},
        "pad_token": END,
        "unk_token": {"content": END, **NORMALIZED},
    },
}
#: The files beside vocab.json and merges.txt, as they are published.
PUBLISHED = {
    "SD 1.x": SD_1,
    "SD 2.x": {
        name: content | {"pad_token": "!", "unk_token": {**content["unk_token"], "content": END}}
        for name, content in SD_1.items()
    },
    "SDXL's second": {
        "tokenizer_config.json": {
            "added_tokens_decoder": {
                "0": {"content": "!", **NORMALIZED, "normalized": False, "special": True},
                "{start}": {"content": START, **NORMALIZED, "special": True},
                "{end}": {"content": END, **NORMALIZED, "special": True},
            },
            "bos_token": START,
            "eos_token": END,
            "pad_token": "!",
            "unk_token": END,
            "model_max_length": 77,
            "tokenizer_class": "CLIPTokenizer",
        },
        "special_tokens_map.json": {"bos_token": {"content": START, **NORMALIZED}, "pad_token": "!"},
    },
    "tokens as text alone": {
        "tokenizer_config.json": {
            "model_max_length": 77,
            "bos_token": START,
            "eos_token": END,
            "pad_token": END,
            "unk_token": END,
        },
        "special_tokens_map.json": {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END},
    },
    "a concept that was learned": SD_1 | {"added_tokens.json": {"<cat-toy>": 1000, "sks": 1001}},
    "further special tokens": {
        name: content | {"additional_special_tokens": ["<left>", "<right>"]} for name, content in SD_1.items()
    },
    "nothing": {},
}

ODD = [
    "",
    " ",
    "a cat on the beach",
    "A CAT, a Dog!",
    "the cat's dog's cats' don't we'll I'd 's 'S",
    "cat,dog;red-haired a_b a/b (cat:1.5) [cat] ((cat))",
    "  a   cat\t on\n\na\u3000beach\xa0",
    "caf\u00e9 cafe\u0301 \u0130stanbul \ufb01 stra\u00dfe \u1e9e",
    "你好 世界 犬と猫 กขค",
    "🐈‍⬛ 👩🏽‍🚀 ⚡️",
    "12345 1,000 \u00bd \u0663",
    f"{START} a cat {END} on <|ENDOFTEXT|> <|EndOfText|>cat{END}dog",
    "!!! ! a! !cat <cat-toy> a<cat-toy>b sks SKS sksing <left>cat<right>",
    "\x00 \x1f \u200b \ufeff \ue000 \U000e0001",
    "cat " * 200,
    "</w> cat</w> \u0120cat \u010a",
]


def written(folder: Path, beside: dict) -> Path:
    """A folder with CLIP's two files, and others beside."""
    whole = json.loads(tiny.tokenizer(77).backend_tokenizer.to_str())["model"]
    numbers = {"{start}": str(whole["vocab"][START]), "{end}": str(whole["vocab"][END])}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(whole["vocab"]))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in whole["merges"]), ""]
    (folder / "merges.txt").write_text("\n".join(lines))
    for name, content in beside.items():
        text = json.dumps(content)
        for placeholder, number in numbers.items():
            text = text.replace(placeholder, number)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module", params=PUBLISHED)
def pair(request, tmp_path_factory):
    """The API's tokenizer of a published layout, and transformers'."""
    folder = written(tmp_path_factory.mktemp("clip") / "tokenizer", PUBLISHED[request.param])
    return open_tokenizer(folder).tokenizer, CLIPTokenizer.from_pretrained(folder)


def read_alike(ours, theirs, text: str) -> None:
    encoding, wanted = ours.encode(text), theirs(text, return_offsets_mapping=True)
    assert encoding.ids == wanted.input_ids
    assert encoding.offsets == wanted.offset_mapping


def test_clips_tokenizer_is_transformers_as_a_whole(pair):
    """But for the decoder: the API turns no tokens into text."""
    ours, theirs = (json.loads(text) for text in (pair[0].to_str(), pair[1].backend_tokenizer.to_str()))

    assert {**ours, "decoder": None} == {**theirs, "decoder": None}


@pytest.mark.parametrize("text", ODD)
def test_clips_tokenizer_reads_odd_text_as_transformers_does(pair, text):
    read_alike(*pair, text)


@settings(max_examples=200)
@given(text=st.lists(st.one_of(st.text(max_size=8), st.sampled_from([*ODD, "cat", "dog", "!", " "])), max_size=6))
def test_clips_tokenizer_reads_any_text_as_transformers_does(pair, text):
    read_alike(*pair, "".join(text))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Path:
    """A SentencePiece model as T5's is: unigram, its control tokens first, its text normalised."""
    folder = tmp_path_factory.mktemp("t5")
    words = "a cat on the beach a dog in the snow a red car at night two birds over the sea a quiet house by a lake"
    (folder / "words.txt").write_text("\n".join(" ".join(words.split()[start:]) for start in range(20)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "words.txt"), model_prefix=str(folder / "spiece"), model_type="unigram", vocab_size=60,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, user_defined_symbols=["<sep>"], hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    return folder


T5_CONFIGS = {
    "published": {
        "additional_special_tokens": [f"<extra_id_{number}>" for number in range(100)],
        "eos_token": "</s>",
        "extra_ids": 100,
        "model_max_length": 512,
        "pad_token": "<pad>",
        "tokenizer_class": "T5Tokenizer",
        "unk_token": "<unk>",
    },
    "without sentinels": {"extra_ids": 0, "model_max_length": 77},
    "nothing": None,
}


@pytest.fixture(scope="module", params=T5_CONFIGS)
def t5_pair(request, pieces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5") / "tokenizer"
    folder.mkdir()
    shutil.copy(pieces / "spiece.model", folder)
    if T5_CONFIGS[request.param] is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(T5_CONFIGS[request.param]))
    return open_tokenizer(folder).tokenizer, T5Tokenizer.from_pretrained(folder)


@pytest.mark.parametrize("text", [*ODD, "<extra_id_0> a <extra_id_99>", "a <sep> b </s> <pad><unk>", "▁a ▁ cat▁"])
def test_t5s_tokenizer_reads_odd_text_as_transformers_does(t5_pair, text):
    read_alike(*t5_pair, text)


@settings(max_examples=200)
@given(text=st.text(max_size=40))
def test_t5s_tokenizer_reads_any_text_as_transformers_does(t5_pair, text):
    read_alike(*t5_pair, text)


def test_a_prompt_has_as_many_tokens_as_the_tokenizer_finds_that_finds_the_most(tmp_path):
    """SDXL's first tokenizer joins "!!" as the published one does; its second one pads with "!", and cuts it out."""
    first = written(tmp_path / "model" / "tokenizer", SD_1)
    vocabulary = json.loads((first / "vocab.json").read_text())
    joined = {"!!</w>" if token == "ÿ</w>" else token: number for token, number in vocabulary.items()}
    (first / "vocab.json").write_text(json.dumps(joined))
    (first / "merges.txt").write_text((first / "merges.txt").read_text() + "\n! !</w>")
    written(tmp_path / "model" / "tokenizer_2", PUBLISHED["SDXL's second"])
    (tmp_path / "models.toml").write_text(
        """
        [[models]]
        id = "tiny"
        path = "model"
        family = "stable_diffusion_xl"
        max_tokens = 24
        sizes = [[32, 32]]
        defaults = { steps = 3, guidance_scale = 3.0 }
        limits = { max_steps = 40, max_targets = 3 }
        """
    )
    counter = counter_of(load_catalogue(tmp_path / "models.toml")["tiny"])

    assert counter.count("a cat !!") == 6
    assert len(counter.tokenized("a cat !!", 24)) == 5  # words stand where the first one has them
    assert counter.may_exceed("!" * 23, 24)


@pytest.mark.parametrize("named", ["tokenizer/vocab.json", "tokenizer", "."])
def test_a_tokenizer_is_found_by_a_file_its_folder_or_its_models_folder(tmp_path, named):
    written(tmp_path / "tokenizer", SD_1)

    assert len(open_tokenizer(tmp_path / named).tokenizer.encode("a cat").ids) == 4
    assert open_tokenizer(tmp_path / named).limit == 77


def test_a_whole_tokenizer_goes_before_its_parts(tmp_path):
    folder = written(tmp_path / "tokenizer", SD_1)
    tiny.tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "merges.txt").unlink()

    assert len(open_tokenizer(folder).tokenizer.encode("a cat").ids) == 4


def test_a_whole_tokenizer_may_have_any_name(tmp_path):
    tiny.tokenizer().backend_tokenizer.save(str(tmp_path / "clip.json"))

    assert len(open_tokenizer(tmp_path / "clip.json").tokenizer.encode("a cat").ids) == 4


@pytest.mark.parametrize(
    ("of_tokenizer", "of_encoder", "limit"),
    [(77, 77, 77), (10**30, 77, 77), (None, 24, 24), (512, 77, 77), (20, 77, 20), (77, None, 77), (None, None, None)],
)
def test_the_limit_is_the_smaller_one_of_the_tokenizers_and_the_text_encoders(
    tmp_path, of_tokenizer, of_encoder, limit
):
    folder = written(tmp_path / "tokenizer", {})
    (tmp_path / "text_encoder").mkdir()
    for file, key, value in [
        ("tokenizer/tokenizer_config.json", "model_max_length", of_tokenizer),
        ("text_encoder/config.json", "max_position_embeddings", of_encoder),
    ]:
        if value is not None:
            (tmp_path / file).write_text(json.dumps({key: value}))

    assert open_tokenizer(folder).limit == limit


def _no_merges(folder: Path) -> None:
    (folder / "merges.txt").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_merges, "vocab.json cannot be read as a tokenizer.*merges.txt"),
        (lambda folder: (folder / "vocab.json").write_text("[]"), "cannot be read as a tokenizer"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("[]"), "holds no JSON object"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json cannot be read"),
        (lambda folder: shutil.rmtree(folder), "no tokenizer at .*leave it out"),
    ],
)
def test_files_that_make_no_tokenizer_are_named(tmp_path, spoil, said):
    folder = written(tmp_path / "tokenizer", SD_1)
    spoil(folder)

    with pytest.raises(InvalidCatalogue, match=said):
        open_tokenizer(folder)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\xff\xff\xff\xff\xff\xff"])
def test_a_file_that_is_no_sentencepiece_model_is_named(tmp_path, content):
    (tmp_path / "spiece.model").write_bytes(content)

    with pytest.raises(InvalidCatalogue, match=r"spiece\.model is no"):
        open_tokenizer(tmp_path)


def test_a_sentencepiece_model_of_another_algorithm_is_refused(pieces, tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        input=str(pieces / "words.txt"), model_prefix=str(tmp_path / "spiece"), model_type="bpe", vocab_size=40,
        minloglevel=2,
    )  # fmt: skip

    with pytest.raises(InvalidCatalogue, match="is no unigram model"):
        open_tokenizer(tmp_path)
