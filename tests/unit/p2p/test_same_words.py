"""Prompts that say the same words, however they are written: what the sampler does with them, and what is shown."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from p2p.alignment import refinement_mapper, replacement_mapper
from p2p.edit import edit
from p2p.edits import compile_plan
from p2p.families.stable_diffusion import StableDiffusion
from p2p.spec import EditSpec
from p2p.tokens import TokenizedPrompt, tokenize_all
from p2p.word_alignment import align_words, fitting_kind
from p2p.words import WrittenPrompt, same_words
from tests import tiny

#: Both have CLIP's format; the second one splits some of its own words.
TOKENIZERS = {
    "tiny": tiny.tokenizer(limit=77),
    "scenes": CLIPTokenizer.from_pretrained("scenes/model/tokenizer", model_max_length=77),
}

words = st.sampled_from(["a", "cat", "dog", "red", "beach", "sunflower", "café", "straße", "猫", "1", "night"])
said = st.lists(words, min_size=1, max_size=4)
before, behind = (
    st.sampled_from(["", '"', "(", "“", "'"]),
    st.sampled_from(["", ",", ".", "!", '"', ")", "\u2019", "..."]),
)
between = st.sampled_from([" ", "  ", "\t", " - ", ", "])
written = st.sampled_from([str, str.upper, str.capitalize])


@st.composite
def ways(draw, sentence: list[str]) -> str:
    """One way of writing some words: its punctuation, case, quotes and spaces."""
    parts = []
    for index, word in enumerate(sentence):
        parts += [draw(between) if index else "", draw(before), draw(written)(word), draw(behind)]
    return "".join(parts)


pairs = said.flatmap(lambda sentence: st.tuples(ways(sentence), ways(sentence)))


def spec_of(source: str, target: str, *edits: dict) -> EditSpec:
    body = {"prompt": target, "edits": edits, "cross_window": {"stop": 0.8}, "self_window": {"stop": 0.4}}
    sampling = {"steps": 2, "guidance_scale": 3, "seed": 1}
    return EditSpec.model_validate({"source": {"prompt": source}, "targets": [body], "sampling": sampling})


def weighted(target: TokenizedPrompt) -> dict:
    """Weight 1 for every word."""
    names = [{"word": word.word, "occurrence": word.occurrence, "weight": 1} for word in target.words()]
    return {"kind": "reweight", "weights": names}


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@settings(deadline=None)
@given(pairs)
def test_weights_of_one_are_the_plan_of_refine(tokenizer, pair):
    prompts = tokenize_all(pair, TOKENIZERS[tokenizer])
    ours, refined = (
        compile_plan(spec_of(*pair, edits), prompts, 10) for edits in (weighted(prompts[1]), {"kind": "refine"})
    )

    assert torch.equal(ours.cross.mapper, refined.cross.mapper)
    assert torch.equal(ours.cross.alphas, refined.cross.alphas)
    assert torch.equal(ours.cross.equalizer, refined.cross.equalizer)


@pytest.fixture(scope="module")
def family():
    return StableDiffusion(tiny.pipeline())


# Runs of the real sampler: few, and of few words.
@settings(max_examples=10, deadline=None)
@given(
    pair=st.sampled_from(["a cat on", "cat dog red", "a a a"])
    .map(str.split)
    .flatmap(lambda s: st.tuples(ways(s), ways(s)))
)
def test_weights_of_one_give_the_picture_of_refine(family, pair):
    prompts = tokenize_all(pair, family.tokenizer)
    ours, refined = (edit(spec_of(*pair, edits), family) for edits in (weighted(prompts[1]), {"kind": "refine"}))

    for one, other in zip(ours.images, refined.images, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("kind", ["as it fits", "replace", "refine"])
@settings(deadline=None)
@given(pair=pairs | st.tuples(said.flatmap(ways), said.flatmap(ways)))
def test_what_is_shown_is_what_the_matrices_do(tokenizer, kind, pair):
    """Of prompts that say the same words, and of any others."""
    source, target = tokenize_all(pair, TOKENIZERS[tokenizer])
    if kind == "replace" and len(source.words()) != len(target.words()):
        return
    chosen = fitting_kind(source, target) if kind == "as it fits" else kind
    mapper = (replacement_mapper if chosen == "replace" else refinement_mapper)(source, target)

    shown = align_words(source, target, chosen)

    for word, tokens in zip(shown.words, target.words(), strict=True):
        columns = mapper[:, list(tokens.tokens)]
        given_by = [i for i, owned in enumerate(source.owned()) if columns[list(owned)].any()]
        assert list(word.sources) == given_by
        assert (word.state == "added") is (not given_by)
        # Kept: its tokens are those of one word of the source, and each takes the whole map of its like.
        kept = any(
            [source.ids[i] for i in old.tokens] == [target.ids[j] for j in tokens.tokens]
            and torch.equal(columns, torch.eye(source.limit)[:, list(old.tokens)])
            for old in source.words()
        )
        assert (word.state == "kept") is kept
    assert set(shown.removed) == set(range(len(source.words()))) - {i for word in shown.words for i in word.sources}


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@settings(deadline=None)
@given(pairs)
def test_prompts_that_differ_only_so_say_the_same_words(tokenizer, pair):
    source, target = tokenize_all(pair, TOKENIZERS[tokenizer])

    assert same_words(WrittenPrompt(pair[0]), WrittenPrompt(pair[1]))
    assert fitting_kind(source, target) == (None if source.ids == target.ids else "refine")


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@settings(deadline=None)
@given(pairs)
def test_every_word_is_named_by_what_is_shown_of_it(tokenizer, pair):
    """A heat map's word and occurrence, given back as a name, mean the tokens that the map is of."""
    for prompt in tokenize_all(pair, TOKENIZERS[tokenizer]):
        for word in prompt.words():
            assert prompt.named(word.word, word.occurrence) == word.tokens


def test_the_published_code_reads_the_source_by_position():
    prompts = tokenize_all(["a cat, on a beach", "a cat on a beach"], TOKENIZERS["tiny"])
    spec = spec_of(prompts[0].prompt, prompts[1].prompt, weighted(prompts[1]))

    published = compile_plan(spec.model_copy(update={"compat": "reference"}), prompts, 10)

    assert torch.equal(published.cross.mapper[0], torch.eye(77))
