"""Prompts tokenized by hand: `said("a rab|bit here")` splits words where the bar stands."""

from p2p.tokens import TokenizedPrompt

START, END = 0, 1


def said(marked: str, limit: int = 8) -> TokenizedPrompt:
    """The tokens of a prompt whose splits are written with bars; equal pieces have equal ids."""
    ids, spans, at = [START], [(0, 0)], 0
    for word in marked.split(" "):
        for piece in word.split("|"):
            ids.append(2 + sum(ord(letter) * 131**place for place, letter in enumerate(piece)))
            spans.append((at, at + len(piece)))
            at += len(piece)
        at += 1
    return TokenizedPrompt(marked.replace("|", ""), (*ids, END), (*spans, (0, 0)), limit)
