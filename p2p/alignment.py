"""How the tokens of an edited prompt correspond to those of its source (Hertz et al. 2022, section 3.2).

A mapper is a matrix (source tokens, target tokens): column n says which source columns the target's token n takes its
attention from. A column of zeros means that the token has no counterpart and keeps its own attention.

`compat` reproduces two oddities of the published code, so that results can be compared with it:
- replace: after the last changed word a target token reads the source token at its own *position*, which is another
  word's as soon as a swap changed the number of tokens, and the last columns may stay empty without falling back;
- refine: where words were removed, padding reads the source's tokens at the same positions, which are words.
"""

import torch
from torch import Tensor

from p2p.subsequence import align
from p2p.tokens import TokenizedPrompt


def replacement_mapper(source: TokenizedPrompt, target: TokenizedPrompt, *, compat: bool = False) -> Tensor:
    """The mapper of prompts whose words correspond one to one, (limit, limit) float32.

    A changed word with as many tokens as before is mapped token by token. Otherwise each of its tokens takes an equal
    part of all the tokens that the word had, so that the attention the word received is kept.
    """
    mapper = torch.zeros(source.limit, target.limit)
    mapper[0, 0] = 1  # the start token
    changed_last = None
    for before, after in zip(source.owned(), target.owned(), strict=True):
        if len(before) == len(after):
            mapper[before, after] = 1
        elif before and after:
            mapper[torch.tensor(before)[:, None], torch.tensor(after)] = 1 / len(after)
        if [source.ids[i] for i in before] != [target.ids[j] for j in after]:
            changed_last = before[-1] + 1, after[-1] + 1
    for i, j in zip(range(len(source) - 1, source.limit), range(len(target) - 1, target.limit), strict=False):
        mapper[i, j] = 1  # the end token and the padding
    if compat and changed_last:
        i, j = changed_last
        mapper[:, j:] = 0
        for column in range(j, min(target.limit, source.limit - i + j)):
            mapper[column, column] = 1
    return mapper


def refinement_mapper(source: TokenizedPrompt, target: TokenizedPrompt, *, compat: bool = False) -> Tensor:
    """The mapper of prompts that share some tokens in the same order, (limit, limit) float32, of zeros and ones."""
    mapper = torch.zeros(source.limit, target.limit)
    for j, i in enumerate(align(source.ids, target.ids)):
        if i is not None:
            mapper[i, j] = 1
    for j in range(len(target), target.limit):
        if compat or j >= len(source):
            mapper[j, j] = 1
    return mapper
