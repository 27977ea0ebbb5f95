"""Prompts of more tokens than the text encoder reads, in chunks: words, maps and edits are right across them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.alignment import refinement_mapper, replacement_mapper
from p2p.chunks import MAX_CHUNKS, most_tokens
from p2p.edit import edit, edit_again_steps
from p2p.errors import PromptTooLong
from p2p.families.text_ids import padded_ids
from p2p.preparation import chunks_of
from p2p.spec import EditSpec
from p2p.stepping import result_of
from p2p.tokens import chunks_needed, tokenize, tokenize_all
from tests import families, tiny, tiny_xl
from tests.short_specs import NO_MAPS, OFF

WORDS = tiny.WORDS
#: 30 words, one token each: a chunk of the tiny encoder holds 22.
LONG = " ".join(WORDS * 3)
CHUNKS = {"long_prompts": "chunks"}


def spec(source: str, target: str, *edits: dict, windows: dict | None = None, **extra) -> EditSpec:
    sampling = {"steps": 3, "guidance_scale": 5.0, "seed": 1}
    targets = [{"prompt": target, "edits": list(edits)} | (windows or {})]
    return EditSpec.model_validate(
        {"source": {"prompt": source}, "targets": targets, "sampling": sampling, **CHUNKS, **extra}
    )


def test_a_word_has_the_place_that_its_chunk_gives_it():
    tokens = tokenize(LONG, tiny.tokenizer(), 2)

    assert (tokens.limit, list(tokens.starts)) == (48, [0, 24])
    # The 22nd word ends the first chunk, whose end token is at 23; the 23rd stands behind the next start token.
    assert [word.tokens for word in tokens.words()[20:24]] == [(21,), (22,), (25,), (26,)]
    assert tokens.named("cat") == (2, 12, 22)
    assert tokens.named("dog", 3) == (25,)


def test_chunks_without_words_are_empty():
    tokens = tokenize("a cat", tiny.tokenizer(), 3)

    assert [tail.start for tail in tokens.tails()] == [3, 25, 49]
    assert tokens.named("cat") == (2,)


@pytest.mark.parametrize(("words", "chunks"), [(0, 1), (22, 1), (23, 2), (44, 2), (45, 3)])
def test_a_run_has_as_many_chunks_as_its_longest_prompt_needs(words, chunks):
    prompts = [" ".join(["cat"] * words), "a dog"]

    assert chunks_needed(prompts, [tiny.tokenizer()], "chunks") == chunks


def test_more_than_the_most_chunks_is_refused():
    long = " ".join(["cat"] * (22 * MAX_CHUNKS + 1))

    with pytest.raises(PromptTooLong, match=f"{22 * MAX_CHUNKS + 3} tokens"):
        chunks_needed([long], [tiny.tokenizer()], "chunks")
    assert most_tokens(24, "chunks") == 22 * MAX_CHUNKS + 2


def test_a_text_encoder_whose_tokenizer_finds_more_tokens_than_the_first_cuts_none():
    """The second one of SDXL reads each "!" as a token of its own, and the first one "!!!" as one."""
    assert padded_ids(tiny.tokenizer(), [" ".join(["cat"] * 44)], 2).shape == (2, 24)
    with pytest.raises(PromptTooLong, match="47 tokens"):
        padded_ids(tiny.tokenizer(), [" ".join(["cat"] * 45)], 2)


def test_a_prompt_has_as_many_chunks_as_the_tokenizer_needs_that_finds_the_most():
    """SDXL's tokenizers count otherwise: the first joins "!!!", the second cuts it into what it pads with."""
    pipeline = tiny_xl.pipeline()
    pipeline.tokenizer_2 = tiny.tokenizer(words=())  # one token a letter
    family = families.of(pipeline)
    asked = spec(" ".join(["cat"] * 10), " ".join(["cat"] * 9 + ["dog"]), {"kind": "replace"})

    drawn = edit(asked, family)

    assert chunks_needed(asked.prompts, [family.tokenizer], "chunks") == 1
    assert chunks_of(asked, family) == 2
    assert torch.isfinite(drawn.latents).all()


def test_long_prompts_are_refused_where_nobody_asks_for_chunks(family):
    longer = " ".join(WORDS * 10)  # 100 tokens: T5 reads 77
    with pytest.raises(PromptTooLong):
        edit(spec(longer, longer, {"kind": "refine"}, long_prompts="refuse"), family)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60), st.lists(st.sampled_from(WORDS), max_size=60))
@settings(deadline=None, max_examples=100)
def test_what_words_correspond_to_does_not_depend_on_where_chunks_end(before, after):
    """The same words by a text encoder that reads all at once, and by one that reads them in chunks."""
    prompts = [" ".join(before), " ".join(after or before)]
    whole, short = tiny.tokenizer(limit=64), tiny.tokenizer(limit=24)
    at_once = tokenize_all(prompts, whole)
    in_chunks = tokenize_all(prompts, short, chunks_needed(prompts, [short], "chunks"))

    wanted, found = refinement_mapper(*at_once), refinement_mapper(*in_chunks)

    columns = [[word.tokens for word in tokens.words()] for tokens in (*at_once, *in_chunks)]
    flat = [[token for tokens in words for token in tokens] for words in columns]
    assert torch.equal(wanted[flat[0]][:, flat[1]], found[flat[2]][:, flat[3]])
    assert found.sum(0).max() <= 1
    assert all(found[start, start] == 1 for start in in_chunks[1].starts)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_a_swap_across_chunks_takes_each_words_own_map(before, random):
    after = [random.choice(WORDS) if random.random() < 0.3 else word for word in before]
    prompts, short = [" ".join(before), " ".join(after)], tiny.tokenizer(limit=24)
    source, target = tokenize_all(prompts, short, chunks_needed(prompts, [short], "chunks"))

    mapper = replacement_mapper(source, target)

    for old, new in zip(source.words(), target.words(), strict=True):
        assert mapper[:, list(new.tokens)].nonzero()[:, 0].tolist() == list(old.tokens)
    assert torch.equal(mapper, torch.eye(source.limit))  # every word is one token: all stay at their places


def test_a_short_prompt_is_the_same_picture_with_chunks_and_without(family):
    asked, plain = ("a cat on a beach", "a dog on a beach", {"kind": "replace"}), {"long_prompts": "refuse"}

    assert torch.equal(edit(spec(*asked), family).latents, edit(spec(*asked, **plain), family).latents)


@pytest.mark.needs("chunks")
def test_each_word_of_a_long_prompt_has_a_map(family):
    maps = edit(spec(LONG, LONG.replace("car", "dog"), {"kind": "replace"}), family).maps

    assert [word.word for word in maps[0]] == LONG.split()
    assert all(word.map.sum() > 0 for prompt in maps for word in prompt)


@pytest.mark.needs("chunks")
def test_a_word_of_the_last_chunk_is_turned_up(family):
    """Its own map of the run grows, and those of other words do not."""
    named = {"word": "night", "occurrence": 3}

    def maps(weight: float):
        asked = spec(LONG, LONG, {"kind": "reweight", "weights": [named | {"weight": weight}]})
        return edit(asked, family).maps[1]

    plain, louder = maps(1), maps(4)

    assert louder[-1].map.mean() > 2 * plain[-1].map.mean()
    assert all(abs(one.map.mean() - other.map.mean()) < 0.2 * other.map.mean() for one, other in
               zip(louder[:5], plain[:5], strict=True))  # fmt: skip


@pytest.mark.needs("chunks")
def test_an_edit_of_a_kept_long_source_is_the_edit(family):
    swapped = spec(LONG, LONG.replace("car", "dog"), {"kind": "replace"}, **NO_MAPS)
    kept = edit(swapped, family, keep=True).trajectory

    other = spec(LONG, LONG.replace("beach", "car"), {"kind": "replace"}, **NO_MAPS)
    again, fresh = result_of(edit_again_steps(other, family, kept)).latents, edit(other, family).latents

    # The parity bound of an edit of a kept source.
    assert (again - fresh).float().norm() <= 1e-4 * fresh.float().norm()


@pytest.mark.needs("chunks")
def test_a_long_prompt_without_control_is_what_the_network_makes_of_its_chunks(family):
    """Each chunk encoded by itself, and their states under each other."""
    asked = spec(LONG, LONG, {"kind": "refine"}, windows=OFF, **NO_MAPS)
    split = LONG.split()
    halves = [family.encode_prompts([" ".join(part)]).context for part in (split[:22], split[22:])]

    encoded = family.encode_prompts([LONG], 2)

    assert torch.allclose(encoded.context, torch.cat(halves, 1), atol=1e-5)  # a text beside another rounds otherwise
    latents = edit(asked, family).latents
    assert torch.allclose(latents[0], latents[1], atol=1e-5)
