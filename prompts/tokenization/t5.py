"""T5's tokenizer of `spiece.model`, SentencePiece's file of a unigram model.

The parts are those of transformers' `T5Tokenizer` (transformers 5.23, tokenization_t5.py).
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

from prompts.tokenization.special import CONFIG, SpecialTokens, read

PIECES = "spiece.model"
DEFAULTS = {"eos": "</s>", "unk": "<unk>", "pad": "<pad>"}
#: T5's vocabulary begins with <pad>, </s>, <unk>.
_UNKNOWN = 2
#: Sentinels at the vocabulary's end, where tokenizer_config.json does not say how many.
_EXTRA_IDS = 100
# Of sentencepiece_model.proto.
_UNIGRAM, _CONTROL, _USER_DEFINED = 1, 3, 4


def t5_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder.

    Raises:
        OSError, ValueError: the file is not there, or is no unigram model.
    """
    model = _read(folder / PIECES)
    count = read(folder / CONFIG).get("extra_ids", _EXTRA_IDS)
    extra = [f"<extra_id_{number}>" for number in reversed(range(count))]
    vocabulary = [(piece.piece, piece.score) for piece in model.pieces]
    tokenizer = Tokenizer(Unigram([*vocabulary, *((text, 0.0) for text in extra)], unk_id=_UNKNOWN))
    if charsmap := model.normalizer_spec.precompiled_charsmap:
        tokenizer.normalizer = normalizers.Precompiled(charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    special = SpecialTokens.of(folder, DEFAULTS)
    own = [
        AddedToken(piece.piece, normalized=False, special=piece.type == _CONTROL)
        for piece in model.pieces
        if piece.type in (_CONTROL, _USER_DEFINED)
    ]
    # transformers takes the model's own symbols whole only where the configuration names no further tokens.
    replace(special, extra=special.extra or (*own, *reversed(extra))).add_to(tokenizer)
    end = tokenizer.token_to_id(special.text("eos"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", end)]
    )
    return tokenizer


def _read(file: Path) -> Any:
    from google.protobuf.message import DecodeError

    model = _kind_of_model()()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{file} is no SentencePiece model") from error
    if not model.pieces or (model.trainer_spec.HasField("model_type") and model.trainer_spec.model_type != _UNIGRAM):
        raise ValueError(f"{file} is no unigram model of SentencePiece, which T5's is")
    return model


@cache
def _kind_of_model() -> Any:
    """The class of a SentencePiece model: the fields of sentencepiece_model.proto that are read here."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    file = descriptor_pb2.FileDescriptorProto(name="pieces.proto", package="pieces", syntax="proto2")
    for message, fields in {
        "Piece": [("piece", 1, field.TYPE_STRING), ("score", 2, field.TYPE_FLOAT), ("type", 3, field.TYPE_INT32)],
        "Training": [("model_type", 3, field.TYPE_INT32)],
        "Normalizing": [("precompiled_charsmap", 2, field.TYPE_BYTES)],
    }.items():
        made = file.message_type.add(name=message)
        for name, number, kind in fields:
            made.field.add(name=name, number=number, type=kind, label=one)
    model = file.message_type.add(name="Model")
    for name, number, label, kind in [
        ("pieces", 1, many, "Piece"),
        ("trainer_spec", 2, one, "Training"),
        ("normalizer_spec", 3, one, "Normalizing"),
    ]:
        model.field.add(name=name, number=number, label=label, type=field.TYPE_MESSAGE, type_name=f".pieces.{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pieces.Model"))
