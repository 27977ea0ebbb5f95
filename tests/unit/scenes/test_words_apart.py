"""What training does so that words decide: they speak for themselves, and look at their things."""

import pytest
import torch

from scenes import painter, tokenizer
from scenes.attention_terms import WORDS_SHARE, attention_missing, attention_outside
from scenes.words_apart import WordsApart, with_ends_of

CPU = torch.device("cpu")


@pytest.fixture
def words():
    return tokenizer.train()


@pytest.fixture
def text_encoder(words):
    torch.manual_seed(0)
    return painter.build(words)[1].eval()


def ids(words, *captions: str) -> torch.Tensor:
    return torch.tensor(words(list(captions), padding="max_length").input_ids)


def embedded_often(apart: WordsApart, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack([apart(tokens, torch.Generator().manual_seed(seed)) for seed in range(32)])


def test_what_a_word_knows_of_the_words_before_it_is_wrong_as_often_as_not(words, text_encoder):
    tokens = ids(words, "a cat on a beach", "a dog on the grass")
    often = embedded_often(WordsApart(text_encoder, words, CPU), tokens)
    alone = [embedding[0, :6] for embedding in often]

    # The start knows nothing; every later word was seen with other words before it in some draws.
    assert len({tuple(each[0].tolist()) for each in alone}) == 1
    assert all(len({tuple(each[place].tolist()) for each in alone}) > 2 for place in range(2, 6))


def test_a_word_is_never_replaced_where_its_own_embedding_is_taken(words, text_encoder):
    """A caption of one word has no other words to be wrong about: it is embedded as ever."""
    tokens = ids(words, "cat", "dog")
    plain = text_encoder(tokens).last_hidden_state
    often = embedded_often(WordsApart(text_encoder, words, CPU), tokens)

    # float32, another batch: rounding only
    assert (often[:, :, :2] - plain[:, :2]).abs().max() < 1e-5


def test_the_ends_of_a_caption_are_another_captions(words, text_encoder):
    tokens = ids(words, "a cat", "a strawberry on a beach")
    ends = tokens == words.eos_token_id
    embeddings = text_encoder(tokens).last_hidden_state
    foreign = with_ends_of(embeddings, ends, torch.tensor([1, 0]))
    spoken = int((~ends[1]).sum())

    assert torch.equal(foreign[~ends], embeddings[~ends])
    assert torch.equal(foreign[0, spoken:], embeddings[1, spoken:])
    # where the longer caption still has words, its first end stands
    assert torch.equal(foreign[0, spoken - 1], embeddings[1, spoken])
    assert torch.equal(foreign[1, spoken:], embeddings[0, spoken:])


def test_the_empty_caption_keeps_its_own_ends(words, text_encoder):
    tokens = ids(words, "", "a cat")
    plain = text_encoder(tokens).last_hidden_state
    often = embedded_often(WordsApart(text_encoder, words, CPU), tokens)

    assert (often[:, 0] - plain[0]).abs().max() < 1e-5  # rounding only
    assert (often[:, 1, -1] - plain[1, -1]).abs().amax(-1).max() > 1e-3


def one_thing_at(row: int, column: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """No attention yet, (1, 16 pixels, 4 tokens), and a third token that names a thing of one cell."""
    cells = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    cells[0, 0, row, column] = True
    return torch.zeros(1, 16, 4), torch.tensor([[-1, -1, 0, -1]]), cells


def test_attention_on_the_thing_is_not_outside():
    probs, named, cells = one_thing_at(0, 0)
    probs[0, 5, 2] = 1
    assert attention_outside([probs], named, cells) == pytest.approx(1)
    _, _, cells = one_thing_at(1, 1)  # position 5 of 4 x 4

    assert attention_outside([probs], named, cells) == pytest.approx(0, abs=1e-5)


def test_attention_misses_where_a_things_pixel_looks_at_other_words():
    probs, named, cells = one_thing_at(1, 1)
    assert attention_missing([probs], named, cells) == pytest.approx(WORDS_SHARE, abs=1e-5)
    probs[0, 5, 2] = WORDS_SHARE

    assert attention_missing([probs], named, cells) == pytest.approx(0, abs=1e-5)


def test_a_dropped_caption_misses_nothing():
    probs, named, cells = one_thing_at(1, 1)

    assert attention_missing([probs], torch.full_like(named, -1), cells) == 0
