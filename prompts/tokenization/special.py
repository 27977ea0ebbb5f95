"""The special tokens that a tokenizer's files name: `tokenizer_config.json`, and in older repositories
`special_tokens_map.json` and `added_tokens.json`.

The order of precedence is that of transformers 5.23 (`PreTrainedTokenizerBase._from_pretrained`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

CONFIG = "tokenizer_config.json"
_MAP, _ADDED = "special_tokens_map.json", "added_tokens.json"
#: In the order in which transformers adds them.
NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")

_MATCHING = ("lstrip", "rstrip", "normalized", "single_word", "special")


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens of a tokenizer.

    Attributes:
        named: by "bos", "eos", ...; as text, or with how it is matched.
        extra: further ones.
        added: tokens by number that are in no vocabulary.
    """

    named: Mapping[str, str | AddedToken]
    extra: tuple[str | AddedToken, ...]
    added: Mapping[int, AddedToken]

    @classmethod
    def of(cls, folder: Path, defaults: Mapping[str, str]) -> "SpecialTokens":
        """Those of a folder's files; where they do not name one, the tokenizer's default."""
        config = read(folder / CONFIG)
        added = {int(number): _token(said) for number, said in config.get("added_tokens_decoder", {}).items()}
        if "added_tokens_decoder" not in config:
            config = config | read(folder / _MAP)
            special = {str(_content(config.get(f"{name}_token"))) for name in NAMES}
            for text, number in read(folder / _ADDED).items():
                added[int(number)] = AddedToken(text, normalized=text not in special, special=text in special)
        by_text = {token.content: token for token in added.values()}
        named = {}
        for name in NAMES:
            said = config.get(f"{name}_token", defaults.get(name))
            if said is not None:
                named[name] = by_text.get(_content(said)) or _token(said)
        extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
        return cls(named, tuple(_token(each) for each in extra) if isinstance(extra, list) else (), added)

    def text(self, name: str) -> str:
        """A special token as text."""
        return str(_content(self.named[name]))

    def add_to(self, tokenizer: Tokenizer) -> None:
        """Has a tokenizer take them whole. Those it does not know get the next numbers."""
        tokenizer.add_tokens(list(self._tokens()))

    def _tokens(self) -> Iterator[AddedToken]:
        before: list[str | AddedToken] = [token for _, token in sorted(self.added.items())]
        texts = {token.content for token in self.added.values()}
        for token in (*self.named.values(), *self.extra):
            if _content(token) not in texts and token not in before:
                before.append(token)
        for token in before:
            if isinstance(token, AddedToken):
                token.special = token.special or _content(token) in map(_content, self.named.values())
                yield token
            else:
                yield AddedToken(token, special=True)


def read(file: Path) -> dict[str, Any]:
    """A JSON object of a file; empty where there is no file. Raises `ValueError` where it is no JSON object."""
    if not file.is_file():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{file} holds no JSON object")
    return found


def _content(token: Any) -> str | None:
    if isinstance(token, AddedToken):
        return token.content
    return token.get("content") if isinstance(token, dict) else token


def _token(said: Any) -> Any:
    """A token as the files write it: as text it is kept as text, whose matching is decided where it is added."""
    if not isinstance(said, dict):
        return said
    return AddedToken(said["content"], **{key: said[key] for key in _MATCHING if key in said})
