"""Syntax of other programs in prompts, which is text here: Automatic1111, ComfyUI, compel, Midjourney, wildcards."""

import re
from collections.abc import Iterator, Sequence

#: By what each is in its program. No pattern can go back over what it has read.
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:BREAK|ADDCOMM|ADDBASE|ADDROW|ADDCOL)\b",  # the end of a chunk; regions
        r"<[A-Za-z]{1,20}:[^<>\s]{1,100}>",  # <lora:name:1>
        r"\bembedding:[^\s,]{1,100}",
        r"\{[^{}\s][^{}]{0,200}\}",  # {a|b}, and NovelAI's {a}
        r"__[A-Za-z0-9/*-]{1,60}__",  # wildcards
        r"(?<=[\w)])(?:\+{2,20}|-{2,20})(?![\w-])",  # cat++, cat--
        r"(?<!\S)--[a-z]{1,20}\b",  # --ar 16:9
        r"::-?[0-9.]{0,8}(?![^\s,])",  # cat::2
    )
)
_ANY = re.compile(r"[()\[\]{}<>:_]|\+\+|--|[A-Z]{3}")
#: A whole word in front belongs to what was found: cat++ rather than ++.
_BETWEEN_WORDS = re.compile(r"[\s,]")


def may_be_foreign(prompt: str) -> bool:
    """Whether a prompt holds any character of such syntax: most hold none, and are looked at no further."""
    return _ANY.search(prompt) is not None


def weight_syntax(prompt: str) -> Sequence[str]:
    """Words in brackets that another program would weigh, as they are written: `(cat:1.2)`, `[cat]`, `((cat))`."""
    return [text for text in _groups(prompt) if not _is_schedule(text)]


def other_syntax(prompt: str) -> Sequence[str]:
    """What another program would read as a command, as it is written, each once."""
    found = [(prompt.find(text), text) for text in _groups(prompt) if _is_schedule(text)]
    for pattern in _PATTERNS:
        for match in pattern.finditer(prompt):
            text = match[0]
            if text[0] in "+-:":
                *_, before = _BETWEEN_WORDS.split(prompt[max(0, match.start() - 40) : match.start()])
                text = before + text
            found.append((match.start(), text))
    if not prompt.isupper():
        found += [(match.start(), match[0]) for match in re.finditer(r"\bAND\b", prompt)]
    return list(dict.fromkeys(text for _, text in sorted(found)))


def _is_schedule(group: str) -> bool:
    """Whether it is `[a:b:0.5]` or `[a|b]`."""
    return group[0] == "[" and (":" in group or "|" in group)


def _groups(prompt: str) -> Iterator[str]:
    """What stands in round or square brackets, with them; of nested ones the outermost. `\\(` is no bracket."""
    opened: list[int] = []
    escaped = False
    for at, character in enumerate(prompt):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character in "([":
            opened.append(at)
        elif character in ")]" and opened and prompt[opened[-1]] == "(["[")]".index(character)]:
            start = opened.pop()
            if not opened and prompt[start + 1 : at].strip("()[] "):
                yield prompt[start : at + 1]
