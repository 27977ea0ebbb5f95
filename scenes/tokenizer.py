"""The model's own byte-pair tokenizer, in CLIP's format, trained on the words of its own world."""

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from scenes.vocabulary import words

#: Tokens of the longest prompt, start and end included; the longest caption of the world takes fewer than 30.
MAX_LENGTH = 32
#: Few enough that some words split into two or three tokens, as they do in the large models' tokenizers.
MERGES = 126
START, END = "<|startoftext|>", "<|endoftext|>"


def train() -> CLIPTokenizer:
    """A CLIP tokenizer with every byte in its alphabet, so that any prompt can be said, and `MERGES` merges.

    It learns from each word once, so that a word's length decides whether it splits.
    """
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    letters = len({letter for word in words() for letter in word[:-1]}) + len({word[-1] for word in words()})
    trainer = trainers.BpeTrainer(
        vocab_size=letters + MERGES, end_of_word_suffix="</w>", min_frequency=1, show_progress=False
    )
    learner.train_from_iterator(words(), trainer)
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [
        *alphabet,
        *(letter + "</w>" for letter in alphabet),
        *(left + right for left, right in merges),
        START,
        END,
    ]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=END, model_max_length=MAX_LENGTH)


def prepare(folder: Path) -> CLIPTokenizer:
    """The tokenizer in `folder/tokenizer`, trained there first where it is missing."""
    path = folder / "tokenizer"
    if not path.exists():
        train().save_pretrained(path)
    return CLIPTokenizer.from_pretrained(path)
