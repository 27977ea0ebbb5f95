"""Words are what a person would call words, named as a person would name them."""

from p2p.words import find, words_of


def test_words_are_what_stands_between_white_space():
    assert [word.text for word in words_of("a  cat\non a beach")] == ["a", "cat", "on", "a", "beach"]


def test_a_name_finds_a_word_without_its_case_and_punctuation():
    assert find('A "Tiger", a lion', "tiger") == ((1,),)


def test_punctuation_inside_a_word_belongs_to_it():
    assert find("a state-of-the-art robot's arm", "robot's") == ((2,),)


def test_a_name_of_several_words_finds_them_in_a_row():
    assert find("a fire engine and a fire", "fire engine") == ((1, 2),)


def test_every_occurrence_is_found_unless_one_is_chosen():
    assert find("a cat and a cat", "cat") == ((1,), (4,))
    assert find("a cat and a cat", "cat", 2) == ((4,),)
    assert find("a cat and a cat", "cat", 3) == ()


def test_a_part_of_a_word_is_not_found():
    assert find("a caterpillar", "cat") == ()


def test_words_keep_where_they_stand():
    word = words_of("a (red) car")[1]

    assert (word.start, word.stop) == (3, 6)
    assert word.whole == (2, 7)
