"""Which source tokens an edited prompt's tokens take their attention from (Hertz et al. 2022, section 3.2).

The one place that decides it: `p2p.alignment` makes the sampler's matrices of it, `p2p.word_alignment` what a person is
shown. No torch needed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from p2p.spec import AligningKind
from p2p.subsequence import align
from p2p.tokens import TokenizedPrompt

#: Per token of the edited prompt, by its position: positions of the source, each with the share of its attention that
#: the token takes. A token that is not there has no counterpart.
Shares = Mapping[int, Sequence[tuple[int, float]]]


def replaced(source: TokenizedPrompt, target: TokenizedPrompt, *, whole: bool = False) -> Shares:
    """What "replace" carries over between prompts of as many words.

    A changed word with as many tokens as before is carried over token by token. Otherwise each of its tokens takes an
    equal part of all the tokens that the word had, so that the attention the word received is kept. The punctuation
    before and behind a word corresponds to that of the other word: a full stop takes nothing from the last word.

    Args:
        whole: a word and its punctuation are taken together, as the published code does.
    Raises:
        ValueError: the prompts have different numbers of words.
    """
    shares: dict[int, list[tuple[int, float]]] = {start: [(start, 1.0)] for start in target.starts}
    for olds, news in zip(_parts(source, whole=whole), _parts(target, whole=whole), strict=True):
        for old, new in zip(olds, news, strict=True):
            if len(old) == len(new):
                shares.update({j: [(i, 1.0)] for i, j in zip(old, new, strict=True)})
            elif old:
                shares.update({j: [(i, 1 / len(new)) for i in old] for j in new})
    return shares


def refined(source: TokenizedPrompt, target: TokenizedPrompt) -> Shares:
    """What "refine" carries over: the tokens that both prompts share in the same order."""
    olds, news = source.content, target.content
    found = align(tuple(source.ids[i] for i in olds), tuple(target.ids[j] for j in news))
    shared = {news[j]: [(olds[i], 1.0)] for j, i in enumerate(found) if i is not None}
    return {start: [(start, 1.0)] for start in target.starts if target.chunks > 1} | shared


#: What each kind of edit that aligns two prompts carries over.
CORRESPONDENCES: Mapping[AligningKind, Callable[[TokenizedPrompt, TokenizedPrompt], Shares]] = {
    "replace": replaced,
    "refine": refined,
}
#: By which prompts are aligned that no edit aligns: "reweight" alone, whose prompts say the same words.
BY_ITSELF: AligningKind = "refine"


def _parts(prompt: TokenizedPrompt, *, whole: bool) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Per word, the tokens before its name, of its name, and behind it; or all of them as one part."""
    if whole:
        yield from ((tokens,) for tokens in prompt.owned())
        return
    for tokens, word in zip(prompt.owned(), prompt.words(), strict=True):
        own = frozenset(word.tokens)
        first = min(own, default=len(prompt))
        yield (
            tuple(token for token in tokens if token not in own and token < first),
            word.tokens,
            tuple(token for token in tokens if token not in own and token > first),
        )
