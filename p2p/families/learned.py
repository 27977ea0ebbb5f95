"""Textual inversions (Gal et al. 2022) as words of a pipeline: its tokenizers and its text encoders learn them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from p2p.errors import UnsupportedModel
from p2p.layouts.base import Layout, Reader
from p2p.layouts.embeddings import tensor_name, vectors
from p2p.layouts.model_files import EmbeddingFile
from p2p.learned_words import LearnedWords, UnusableToken, learn


def learn_words(pipeline: Any, embeddings: Sequence[EmbeddingFile], layout: Layout) -> None:
    """Adds words to the text encoders of a pipeline, of as many tokens to each.

    Raises:
        UnsupportedModel: a token is a word already, or is none.
    """
    if not embeddings:
        return
    for reader in layout.readers:
        tokenizer, encoder = getattr(pipeline, reader.tokenizer), getattr(pipeline, reader.encoder)
        counts = [(each.token, vectors(Path(each.path), layout)) for each in embeddings]
        try:
            words = learn(tokenizer.backend_tokenizer, counts)
        except UnusableToken as error:
            raise UnsupportedModel(str(error)) from error
        _write(encoder, words, [_vectors_of(Path(each.path), layout, reader) for each in embeddings])
        # Published configurations call the end token 2, which has transformers take the token of the highest number
        # for it: a learned word's, whose state would then stand for the whole prompt.
        getattr(encoder, "text_model", encoder).eos_token_id = tokenizer.eos_token_id
        _read_words(tokenizer, words)


def _write(encoder: Any, words: LearnedWords, learned: Sequence[Tensor]) -> None:
    """Puts the vectors of words, (tokens, channels) each, into a text encoder."""
    rows = max(len(encoder.get_input_embeddings().weight), 1 + max(max(word.ids) for word in words.words))
    encoder.resize_token_embeddings(rows, mean_resizing=False)
    table = encoder.get_input_embeddings().weight
    with torch.no_grad():
        for word, of_word in zip(words.words, learned, strict=True):
            table[list(word.ids)] = of_word.to(table.device, table.dtype)


def _vectors_of(file: Path, layout: Layout, reader: Reader) -> Tensor:
    with safe_open(file, "pt") as opened:
        found = opened.get_tensor(tensor_name(file, layout, reader))
    return found.reshape(-1, found.shape[-1])


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
