"""CLIP's tokenizer of `vocab.json` and `merges.txt`, as repositories of SD 1.x have it.

The parts are those of transformers' `CLIPTokenizer` (transformers 5.23, tokenization_clip.py).
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from prompts.tokenization.special import SpecialTokens

VOCABULARY, MERGES = "vocab.json", "merges.txt"
#: What a special token is called where the files do not say.
DEFAULTS = {"bos": "<|startoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>", "pad": "<|endoftext|>"}
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clip_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder.

    Raises:
        OSError, ValueError: a file is not there or cannot be read.
    """
    special = SpecialTokens.of(folder, DEFAULTS)
    vocabulary = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
    model = BPE(
        vocab=vocabulary,
        merges=_merges((folder / MERGES).read_text(encoding="utf-8")),
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        fuse_unk=False,
        unk_token=special.text("unk"),
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    special.add_to(tokenizer)
    # Both are in the tokenizer: what its vocabulary lacks was added.
    sep, cls = ((special.text(name), tokenizer.token_to_id(special.text(name)) or 0) for name in ("eos", "bos"))
    tokenizer.post_processor = processors.RobertaProcessing(sep, cls, trim_offsets=False, add_prefix_space=False)
    return tokenizer


def _merges(text: str) -> list[tuple[str, str]]:
    """The pairs of merges.txt in order. Its first line may be a comment on the version."""
    lines = (line.split(" ") for line in text.split("\n") if line and not line.startswith("#version"))
    return [(pair[0], pair[1]) for pair in lines]
