"""The model's own unigram tokenizer, in T5's format, made of the words of its own world."""

from pathlib import Path

from transformers import T5Tokenizer

from scenes.vocabulary import words

#: Tokens of the longest prompt: what `IFPipeline` pads every prompt to.
MAX_LENGTH = 77
#: Letters of the longest word that is one token. Longer ones split in two, as they do in the large models' tokenizers.
WHOLE = 6
#: Where a longer word splits.
HEAD = 5
#: What a prompt of other words is spelled with. Prompts are read in lower case.
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:'\"!?-()"
#: Logarithms of probabilities: a text is read in as few pieces as can be.
WORD, LETTER = -4.0, -12.0


def made() -> T5Tokenizer:
    """A T5 tokenizer that says each word of the world in one token or two, and any other a letter at a time."""
    pieces = {}
    for word in words():
        head, tail = (word, "") if len(word) <= WHOLE else (word[:HEAD], word[HEAD:])
        pieces["▁" + head] = WORD
        if tail:
            pieces[tail] = WORD
    letters = {letter: LETTER for letter in ("▁", *LETTERS) if letter not in pieces}
    special = {"<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0}
    # Each a little less likely than the one before, so that no two ways to split a text are equally likely.
    scored = [
        (piece, score - place * 1e-4) for place, (piece, score) in enumerate((special | pieces | letters).items())
    ]
    return T5Tokenizer(vocab=scored, extra_ids=0, model_max_length=MAX_LENGTH)


def prepare(folder: Path) -> T5Tokenizer:
    """The tokenizer in `folder/tokenizer`, made there first where it is missing."""
    path = folder / "tokenizer"
    if not path.exists():
        made().save_pretrained(path)
    return T5Tokenizer.from_pretrained(path)
