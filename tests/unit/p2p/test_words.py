"""Words are what a person would call words, named as a person would name them."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import pieces, words
from p2p.words import WrittenPrompt, find, same_words, words_of
from tests.work import events_of


def found(prompt: str, name: str, occurrence: int | None = None) -> list[str]:
    """What a name finds, as it is written: the words of each occurrence side by side."""
    return [
        "|".join(prompt[start:stop] for start, stop in spans) for spans in find(prompt, name, occurrence=occurrence)
    ]


def test_words_are_what_stands_between_white_space():
    assert [word.text for word in words_of("a  cat\non a beach")] == ["a", "cat", "on", "a", "beach"]


@pytest.mark.parametrize(
    ("prompt", "name", "text"),
    [
        ('A "Tiger", a lion', "tiger", "Tiger"),
        ("a state-of-the-art robot's arm", "robot's", "robot's"),
        ("a tiger", '"TIGER",', "tiger"),
        ("a _tiger_ sits", "tiger", "tiger"),
    ],
)
def test_a_name_finds_a_word_without_its_case_and_punctuation(prompt, name, text):
    assert found(prompt, name) == [text]


@pytest.mark.parametrize(
    ("prompt", "name", "text"),
    [
        ("cat,dog on a beach", "cat", "cat"),
        ("cat,dog on a beach", "dog on", "dog|on"),
        ("red-haired cat", "red", "red"),
        ("red\u2011haired cat", "red-haired", "red\u2011haired"),
        ("a cat's house", "cat", "cat"),
        ("a cat\u2019s house", "cat's", "cat\u2019s"),
        ("a cat's house", "cat\u2019s", "cat's"),
        ("a cat\u02bcs house", "cat`s", "cat\u02bcs"),
        ("a cat/dog", "cat", "cat"),
        ("a_cat_on_a_beach", "cat", "cat"),
        ("a_cat_on_a_beach", "cat_on", "cat_on"),
        ("a (cat:1.2) on a beach", "cat", "cat"),
        ("1girl,solo", "girl", "girl"),
        ("\u732b\u5728\u6d77\u6ee9\u4e0a", "\u732b", "\u732b"),
        ("\u732b\u5728\u6d77\u6ee9\u4e0a", "\u6d77\u6ee9", "\u6d77\u6ee9"),
        ("\u6d5c\u8fba\u306e\u732b", "\u732b", "\u732b"),
        ("\u0e41\u0e21\u0e27\u0e1a\u0e19\u0e2b\u0e32\u0e14", "\u0e41\u0e21\u0e27", "\u0e41\u0e21\u0e27"),
        ("a cat\U0001f600dog", "cat", "cat"),
        ("a cat\U0001f600dog", "\U0001f600", "\U0001f600"),
        ("<cat>{dog}", "dog", "dog"),
        ("a\u200bcat", "cat", "cat"),
    ],
)
def test_a_name_is_found_inside_a_written_word(prompt, name, text):
    assert found(prompt, name) == [text]


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a cafe\u0301 here", "caf\u00e9"),
        ("a caf\u00e9 here", "cafe\u0301"),
        ("a CAF\u00c9 here", "cafe\u0301"),
        ("a stra\u00dfe here", "STRASSE"),
        ("a STRASSE here", "stra\u00dfe"),
        ("a \u0130stanbul here", "i\u0307stanbul"),
        ("a \u1e69ea here", "s\u0307\u0323ea"),
        ("a \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 here", "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3"),
        ("a \ud55c\uad6d here", unicodedata.normalize("NFD", "\ud55c\uad6d")),
        ("a \u092c\u093f\u0932\u094d\u0932\u0940 here", "\u092c\u093f\u0932\u094d\u0932\u0940"),
    ],
)
def test_names_are_compared_in_one_normal_form(prompt, name):
    assert found(prompt, name) == [prompt.split()[1]]


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a cafe\u0301 here", "cafe"),
        ("a caf\u00e9 here", "cafe"),
        # Turkish is not guessed: a dotless i is another letter.
        ("\u0131stanbul", "istanbul"),
        ("\U0001f469\u200d\U0001f680 here", "\U0001f469"),
        ("a caterpillar", "cat"),
        ("a red-haired cat", "haire"),
        ("a fire-engine", "fire engine"),
        ("mp35", "3"),
        ("a cat", ""),
        ("a cat", "!"),
    ],
)
def test_a_part_of_a_word_is_not_found(prompt, name):
    assert found(prompt, name) == []


def test_a_name_of_several_words_finds_them_in_a_row():
    assert found("a fire engine and a fire", "fire engine") == ["fire|engine"]
    assert found('a "fire" engine, and', "fire engine and") == ["fire|engine|and"]


@pytest.mark.parametrize("between", [",", " , ", " - ", " , , ", "\u3001 ", " \uff0c "])
@pytest.mark.parametrize("name", ["cat dog", "cat, dog", "cat , dog", "cat - dog"])
def test_punctuation_between_the_words_of_a_name_is_ignored_however_it_is_spaced(between, name):
    wanted = [] if between == "," else ["cat|dog"]  # without a space it is one written word
    assert found(f"a cat{between}dog", name) == wanted


@pytest.mark.parametrize("selector", ["\ufe0e", "\ufe0f"])
@pytest.mark.parametrize("symbol", ["\u2764", "\u2600", "\u26a1"])
def test_a_symbol_is_found_with_and_without_a_variation_selector(symbol, selector):
    assert found(f"a {symbol}{selector} here", symbol) == [symbol + selector]
    assert found(f"a {symbol} here", symbol + selector) == [symbol]


def test_every_occurrence_is_found_unless_one_is_chosen():
    assert find("a cat and a cat", "cat") == (((2, 5),), ((12, 15),))
    assert find("a cat and a cat", "cat", 2) == (((12, 15),),)
    assert find("a cat and a cat", "cat", 3) == ()
    assert found("cat,dog and a cat's cat", "cat", 2) == ["cat"]
    assert find("cat,dog and a cat's cat", "cat", 2) == (((14, 17),),)


def test_a_word_that_holds_a_name_is_told():
    assert WrittenPrompt('a "caterpillar", here').holder("cat") == "caterpillar"
    assert WrittenPrompt("a dog").holder("cat") is None
    assert WrittenPrompt("a dog").holder("") is None


@pytest.mark.parametrize(
    ("prompt", "beyond"),
    [
        ("A Cat, a cat's (cat:1.5) cat,dog", ["s", "dog"]),
        ("a red-haired fox and a FOX", ["red", "haired", "fox", "and"]),
        ("2 cats in 1girl", ["2", "cats", "in", "girl"]),
        ("\u732b\u5728 a - !", ["\u732b\u5728"]),
        ("state-of-the-art", []),
    ],
)
def test_what_a_vocabulary_does_not_hold_is_told(prompt, beyond):
    assert list(WrittenPrompt(prompt).beyond({"a", "cat", "state-of-the-art"})) == beyond


def test_words_keep_where_they_stand():
    word = words_of("a (red) car")[1]

    assert (word.start, word.stop) == (3, 6)
    assert word.whole == (2, 7)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a cat, on a beach", "a cat on a beach", True),
        ("a Cat", "a cat", True),
        ('"a cat" on a beach', "a cat  on a beach.", True),
        ("cat,dog", "cat, dog", True),
        ("red-haired", "Red haired", True),
        ("a cafe\u0301", "a caf\u00e9", True),
        ("a cat - here", "a cat here", True),
        ("a cat", "a dog", False),
        ("a cat", "a cat cat", False),
        ("a cats", "a cat s", False),
        ("a cafe", "a caf\u00e9", False),
        ("a \U0001f600", "a \U0001f622", False),
        ("12", "1,2", False),
    ],
)
def test_prompts_say_the_same_words_whatever_they_are_written_with(one, other, same):
    assert same_words(WrittenPrompt(one), WrittenPrompt(other)) is same


#: What prompts are made of that nobody expects: marks, joiners, expanding letters, scripts of every kind.
letters = st.one_of(
    st.sampled_from(
        [
            "a",
            "b",
            "C",
            "'",
            "\u2019",
            "-",
            ",",
            "(",
            "_",
            "1",
            "ß",
            "İ",
            "\u0301",
            "\u0307",
            "\u200d",
            "👩",
            "🏽",
            "猫",
        ]
    ),
    st.just(" "),
    st.characters(exclude_categories=["Cs"]),
)
prompts = st.lists(letters, max_size=30).map("".join)


@settings(deadline=None)
@given(prompts)
def test_every_word_is_found_by_its_own_text(prompt):
    written = WrittenPrompt(prompt)

    for word in written.words:
        assert ((word.start, word.stop),) in written.find(word.text)


@settings(deadline=None)
@given(prompts, st.sampled_from(["NFC", "NFD"]))
def test_another_normal_form_of_a_word_finds_it_too(prompt, form):
    written = WrittenPrompt(prompt)

    for word in written.words:
        assert written.find(unicodedata.normalize(form, word.text)) == written.find(word.text)


@settings(deadline=None)
@given(prompts, prompts)
def test_occurrences_are_those_that_are_found_one_by_one(prompt, name):
    written = WrittenPrompt(prompt)
    times = written.count(name)

    assert written.find(name) == tuple(written.find(name, one)[0] for one in range(1, times + 1))
    assert written.find(name, times + 1) == ()


@pytest.mark.parametrize(
    "hard", ["a" + "!" * 1997 + "a", "a " * 1000, "!" * 2000, "a\u0301" * 1000, "a" + "\u0301\u0327" * 999]
)
def test_a_name_takes_work_in_proportion_to_the_prompt(hard):
    """32 names took 4.7 s: the pattern for the edges of a word went over all of it once for each character."""

    def work(prompt: str) -> int:
        def ask() -> None:
            written = WrittenPrompt(prompt)
            for name in (prompt[:200], "a"):
                written.holds(name)
                written.count(name)
                written.holder(name)

        return events_of(ask)

    work(hard)  # what is kept of a character is kept from here on
    assert work(hard) < 9 * work(hard[: len(hard) // 8])


def test_no_pattern_can_go_back_over_a_prompt():
    """Steps of a regular expression are not seen by a profile: none is used."""
    assert not any(hasattr(module, "re") for module in (pieces, words))


def test_a_prompt_is_read_once_within_a_block_however_many_there_are(monkeypatch):
    read, real = [], words.pieces_by_word
    monkeypatch.setattr(words, "pieces_by_word", lambda text: read.append(text) or real(text))
    prompts = [f"{number}: a cat, a dog and {number} houses" for number in range(100)]
    with words.ReadOnce():
        for _ in range(3):
            for prompt in prompts:
                for name in ("cat", "dog", "houses", "a"):
                    assert words.written(prompt).holds(name)
                assert words.find(prompt, "cat", 1)

    assert sorted(text for text in read if len(text) > 10) == sorted(prompts)


def test_prompts_that_were_forgotten_are_read_again():
    with words.ReadOnce():
        first = words.written("a cat")
        for number in range(40):
            words.written(f"{number} cats")
        assert words.written("a cat") is first
        words.forget_prompts()
        assert words.written("a cat") is not first


def test_a_name_is_looked_for_where_words_begin_and_nowhere_else(monkeypatch):
    """How often Python looks on: once for each place that a name has, whatever the text between is made of."""
    looked = []
    prompt = words.WrittenPrompt("a" * 1000 + " aa a " + "ab" * 400 + " a")

    class Text(str):
        def find(self, *given):
            looked.append(given)
            return super().find(*given)

    prompt._inner._text = Text(prompt._inner._text)
    assert prompt.count("a") == 2
    assert len(looked) == 3
