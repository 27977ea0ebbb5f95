"""How the tokens of an edited prompt correspond to those of its source (Hertz et al. 2022, section 3.2).

A mapper is a matrix (source tokens, target tokens): column n says which source columns the target's token n takes its
attention from. A column of zeros means that the token has no counterpart and keeps its own attention.

`compat` reproduces two oddities of the published code, so that results can be compared with it:
- replace: after the last changed word a target token reads the source token at its own *position*, which is another
  word's as soon as a swap changed the number of tokens, and the last columns may stay empty without falling back;
- refine: where words were removed, padding reads the source's tokens at the same positions, which are words.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from p2p.correspondence import Shares, refined, replaced
from p2p.tokens import TokenizedPrompt


def replacement_mapper(source: TokenizedPrompt, target: TokenizedPrompt, *, compat: bool = False) -> Tensor:
    """The mapper of prompts whose words correspond one to one, (limit, limit) float32; see `replaced`."""
    return _of_segments(source, target, _replacement, compat)


def refinement_mapper(source: TokenizedPrompt, target: TokenizedPrompt, *, compat: bool = False) -> Tensor:
    """The mapper of prompts that share some tokens in the same order, (limit, limit) float32, of zeros and ones."""
    return _of_segments(source, target, _refinement, compat)


def _of_segments(
    source: TokenizedPrompt,
    target: TokenizedPrompt,
    of_one: Callable[[TokenizedPrompt, TokenizedPrompt, bool], Tensor],
    compat: bool,
) -> Tensor:
    """A mapper whose blocks are those of the segments: nothing is carried over between two of them."""
    return torch.block_diag(*(of_one(*each, compat) for each in zip(source.segments, target.segments, strict=True)))


def _replacement(source: TokenizedPrompt, target: TokenizedPrompt, compat: bool) -> Tensor:
    mapper = _mapper(source, target, replaced(source, target, whole=compat))
    for olds, news in zip(source.tails(), target.tails(), strict=True):
        for i, j in zip(olds, news, strict=False):
            mapper[i, j] = 1  # the end token and the padding
    if compat and (changed := _after_the_last_change(source, target)):
        i, j = changed
        mapper[:, j:] = 0
        for column in range(j, min(target.limit, source.limit - i + j)):
            mapper[column, column] = 1
    return mapper


def _refinement(source: TokenizedPrompt, target: TokenizedPrompt, compat: bool) -> Tensor:
    mapper = _mapper(source, target, refined(source, target))
    for olds, news in zip(source.tails(), target.tails(), strict=True):
        for i, j in zip(olds[: source.tail], news[: target.tail], strict=False):
            mapper[i, j] = 1  # the end token
        for j in news[target.tail :]:
            if compat or j in olds[source.tail :]:
                mapper[j, j] = 1
    return mapper


def filled(mapper: Tensor, source: TokenizedPrompt, target: TokenizedPrompt, by: Tensor) -> Tensor:
    """A mapper in which tokens that go give their attention on, so that a pixel's shares still add up to one.

    Half of it goes to the tokens of `by`, the other half to the end of the prompt and the padding: these are what a
    picture has where it has no thing. A kept thing takes none, for it would stand there once more.

    Args:
        by: (limit,) 1 at tokens of the target; where there are none the end of the prompt takes all.
    """
    gone = [i for i in source.content if not mapper[i].any()]
    ends = torch.zeros_like(by)
    ends[[j for tail in target.tails() for j in tail]] = 1
    ends *= (mapper.sum(0) > 0).float()  # padding that has no counterpart keeps its own
    sides = [side / side.sum() for side in (by, ends) if side.any()]
    found = mapper.clone()
    found[gone] = torch.stack(sides).mean(0) if sides else 0
    return found


def _after_the_last_change(source: TokenizedPrompt, target: TokenizedPrompt) -> tuple[int, int] | None:
    """The positions behind the last word whose tokens differ, in the source and in the target."""
    found = None
    for before, after in zip(source.owned(), target.owned(), strict=True):
        if before and after and [source.ids[i] for i in before] != [target.ids[j] for j in after]:
            found = before[-1] + 1, after[-1] + 1
    return found


def _mapper(source: TokenizedPrompt, target: TokenizedPrompt, shares: Shares) -> Tensor:
    mapper = torch.zeros(source.limit, target.limit)
    for column, taken in shares.items():
        for row, share in taken:
            mapper[row, column] = share
    return mapper
