"""The models file, and the tokens that the API counts without the model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.catalogue import load_catalogue
from jobs.errors import InvalidCatalogue
from prompts.counting import TokenCounter, token_counters
from tests import tiny


def test_paths_are_relative_to_the_file(tiny_models):
    declaration = load_catalogue(tiny_models)["tiny"]

    assert declaration.path == str(tiny_models.parent / "model")
    assert declaration.tokenizer.is_file()


def test_a_model_with_a_revision_is_a_hub_id(tiny_models, tmp_path):
    text = tiny_models.read_text().replace('path = "model"', 'path = "some/model"\nrevision = "abc"')
    (tmp_path / "models.toml").write_text(text)

    assert load_catalogue(tmp_path / "models.toml")["tiny"].path == "some/model"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "tiny-too"', 'id = "tiny"', "`id` is tiny, and an earlier model"),
        ("max_tokens = 24", "max_tokens = 24\ncolour = 1", "colour"),
        ("max_tokens = 24", "max_tokens = 0", "max_tokens"),
        ("max_tokens = 24", 'scheduler = "dpm"', "scheduler"),
        ("steps = 3,", "steps = 1000,", "max_steps 400"),
        ("[[models]]", "[[models", "no models file"),
        ("max_tokens = 24", 'max_tokens = 24\nvocabulary = "words.txt"', "no vocabulary at .*words.txt"),
    ],
)
def test_a_models_file_that_is_wrong_says_what(tiny_models, tmp_path, old, new, said):
    (tmp_path / "models.toml").write_text(tiny_models.read_text().replace(old, new))

    with pytest.raises(InvalidCatalogue, match=said):
        load_catalogue(tmp_path / "models.toml")


@pytest.mark.parametrize("declared", ['"words.txt"', '["a", "Cat"]'])
def test_a_vocabulary_is_a_file_or_a_list(tiny_models, tmp_path, declared):
    (tmp_path / "words.txt").write_text("a\nCat\n")
    text = tiny_models.read_text().replace("max_tokens = 24", f"max_tokens = 24\nvocabulary = {declared}")
    (tmp_path / "models.toml").write_text(text)

    model = load_catalogue(tmp_path / "models.toml")["tiny"]

    assert model.vocabulary == ("a", "Cat")
    assert model.known_words == {"a", "cat"}
    assert load_catalogue(tiny_models)["tiny"].known_words is None


def test_a_models_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "models.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(InvalidCatalogue, match="is no models file"):
        load_catalogue(tmp_path / "models.toml")


def test_a_missing_models_file_names_the_setting(tmp_path):
    with pytest.raises(InvalidCatalogue, match="MODELS_FILE"):
        load_catalogue(tmp_path / "models.toml")


@pytest.mark.parametrize("prompt", ["", "a cat on the beach", "a cat, a dog!", "CAT", "é 你好", "cat " * 50])
def test_the_api_counts_the_tokens_that_the_model_reads(tiny_models, prompt):
    counter = TokenCounter(load_catalogue(tiny_models)["tiny"].tokenizer)

    assert counter.count(prompt) == len(tiny.tokenizer()(prompt, truncation=False).input_ids)


@pytest.fixture(scope="session")
def counter(tiny_models):
    return TokenCounter(load_catalogue(tiny_models)["tiny"].tokenizer)


@given(st.text(max_size=60))
def test_what_is_not_counted_is_within_the_limit(counter, prompt):
    tokens = counter.count(prompt)

    assert counter.may_exceed(prompt, tokens - 1)
    assert not prompt.isascii() or not counter.may_exceed(prompt, 2 + len(prompt))  # start, end, a token a character


def test_a_tokenizer_file_that_fills_and_cuts_does_not_hide_the_count(tiny_models, tmp_path):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(load_catalogue(tiny_models)["tiny"].tokenizer))
    tokenizer.enable_truncation(10)
    tokenizer.enable_padding(length=10)
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    counter = TokenCounter(tmp_path / "tokenizer.json")

    assert (counter.count("a cat"), counter.count("cat " * 20)) == (4, 22)


def test_what_is_left_out_is_the_models_own(tiny_models, tmp_path):
    text = tiny_models.read_text().replace('path = "model"', f'path = "{tiny_models.parent / "model"}"')
    text = "".join(line for line in text.splitlines(True) if not line.startswith(("tokenizer", "max_tokens")))
    (tmp_path / "models.toml").write_text(text)

    counter = token_counters(load_catalogue(tmp_path / "models.toml"))["tiny"]

    assert (counter.limit, counter.count("a cat on the beach")) == (24, 7)


def test_more_tokens_than_a_model_reads_are_refused_before_any_prompt_is_taken(tiny_models, tmp_path):
    text = tiny_models.read_text().replace('"model', f'"{tiny_models.parent}/model').replace("= 24", "= 77")
    (tmp_path / "models.toml").write_text(text)

    with pytest.raises(InvalidCatalogue, match="model tiny: max_tokens is 77 and the model reads 24"):
        token_counters(load_catalogue(tmp_path / "models.toml"))
