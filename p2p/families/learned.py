"""Textual inversions (Gal et al. 2022) as words of a pipeline: its tokenizer and its text encoder learn them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from p2p.errors import UnsupportedModel
from p2p.layouts.embeddings import vectors
from p2p.layouts.model_files import EmbeddingFile
from p2p.learned_words import LearnedWords, UnusableToken, learn


def learn_words(pipeline: Any, embeddings: Sequence[EmbeddingFile]) -> None:
    """Adds words to a pipeline of one text encoder.

    Raises:
        UnsupportedModel: a token is a word already, or is none.
    """
    if not embeddings:
        return
    from safetensors.torch import load_file

    tokenizer, encoder = pipeline.tokenizer, pipeline.text_encoder
    try:
        words = learn(tokenizer.backend_tokenizer, [(each.token, vectors(Path(each.path))) for each in embeddings])
    except UnusableToken as error:
        raise UnsupportedModel(str(error)) from error
    table = encoder.get_input_embeddings().weight
    rows = max(len(table), 1 + max(max(word.ids) for word in words.words))
    encoder.resize_token_embeddings(rows, mean_resizing=False)
    table = encoder.get_input_embeddings().weight
    for word, each in zip(words.words, embeddings, strict=True):
        (learned,) = load_file(each.path).values()
        with torch.no_grad():
            table[list(word.ids)] = learned.reshape(len(word.ids), -1).to(table.device, table.dtype)
    _read_words(tokenizer, words)


class ReadsLearnedWords:
    """What a transformers tokenizer becomes: each learned word is read as all of its tokens.

    A tokenizer has one token for a text. transformers' own way, which diffusers takes, is to write a word of several
    vectors into the prompt as several words; then no token would be at its place in what the user wrote.
    """

    learned: LearnedWords
    model_max_length: int
    pad_token_id: int

    def __call__(
        self,
        text: str | list[str],
        *,
        padding: str | None = None,
        return_tensors: str | None = None,
        return_offsets_mapping: bool = False,
    ) -> Any:
        """Ids, and where they are from; the ways in which the sampler asks for them, and no others."""
        from transformers import BatchEncoding

        one = isinstance(text, str)
        ids, spans = [], []
        for prompt in [text] if isinstance(text, str) else text:
            read = super().__call__(prompt, return_offsets_mapping=True)  # type: ignore[misc]
            ids.append(self.learned.expanded(read["input_ids"]))
            spans.append(self.learned.spans(prompt, read["input_ids"], read["offset_mapping"]))
        masks = [[1] * len(each) for each in ids]
        if padding == "max_length":
            for each, mask, places in zip(ids, masks, spans, strict=True):
                missing = self.model_max_length - len(each)
                each += [self.pad_token_id] * missing
                mask += [0] * missing
                places += [(0, 0)] * missing
        found: dict[str, Any] = {"input_ids": ids, "attention_mask": masks}
        if return_offsets_mapping:
            found["offset_mapping"] = spans
        if one:
            found = {name: value[0] for name, value in found.items()}
        return BatchEncoding(found, tensor_type=return_tensors)


def _read_words(tokenizer: Any, words: LearnedWords) -> None:
    kind = type(tokenizer)
    tokenizer.__class__ = type(kind.__name__, (ReadsLearnedWords, kind), {})
    tokenizer.learned = words
