"""Which tokens a prompt becomes, and how many, counted as the model will count them, without the model.

`tokenizer.json` holds the whole tokenizer, so the `tokenizers` package alone gives the number that the worker's text
encoder will see: a prompt that is too long is refused at the door.
"""

from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer

from p2p.tokens import TokenizedPrompt
from service.jobs.catalogue import ModelDeclaration
from service.jobs.errors import InvalidCatalogue


class TokenCounter:
    """Counts the tokens of one model's prompts, start and end included."""

    def __init__(self, tokenizer_file: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # the package raises bare Exception
            raise InvalidCatalogue(f"no tokenizer at {tokenizer_file}: see the models file") from error
        # The file may say to cut and to fill up to the model's length; then every prompt would count as just that.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._around = self.count("")
        #: Tokens of a single ASCII character at most: a tokenizer joins what stands together, it splits no character.
        self._each = max(self.count(chr(code)) for code in range(128)) - self._around

    def may_exceed(self, prompt: str, limit: int) -> bool:
        """Whether a prompt may take more tokens than that: most are so short that nobody has to count."""
        return not prompt.isascii() or self._around + self._each * len(prompt) > limit

    def count(self, prompt: str) -> int:
        """Tokens of a prompt as the text encoder reads it."""
        return len(self._tokenizer.encode(prompt).ids)

    def tokenized(self, prompt: str, limit: int) -> TokenizedPrompt:
        """A prompt of at most `limit` tokens as the text encoder reads it."""
        encoding = self._tokenizer.encode(prompt)
        return TokenizedPrompt(prompt, tuple(encoding.ids), tuple(encoding.offsets), limit)


def token_counters(catalogue: Mapping[str, ModelDeclaration]) -> dict[str, TokenCounter]:
    """A counter per model."""
    return {model.id: TokenCounter(model.tokenizer) for model in catalogue.values()}
