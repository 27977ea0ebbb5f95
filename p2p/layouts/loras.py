"""LoRA files, seen from their headers: whether what they change is there in a model, without torch.

Two layouts are known. Diffusers' names parts and layers as its models do ("unet.mid_block...to_q.lora.up.weight", or
peft's "lora_B"). kohya's writes each layer's name in one piece ("lora_unet_mid_block_...to_q.lora_up.weight").
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from p2p.layouts.base import Layout, Parts, Trouble, value_of
from p2p.layouts.header import shapes
from p2p.layouts.single_file import unreadable

_DIFFUSERS = re.compile(
    r"(?P<part>unet|transformer|text_encoder|text_encoder_2|text_encoder_3)\.(?P<layer>.+?)"
    r"(?:[._]lora(?:_linear_layer)?\.(?P<side>up|down)|\.lora_(?P<peft>[AB]))\.weight"
)
_KOHYA = re.compile(r"lora_(?P<part>unet|te|te1|te2|te3)_(?P<layer>[^.]+)\.(?:lora_(?P<side>up|down)\.weight|alpha)")
#: kohya's names of parts.
_PARTS = {"te": "text_encoder", "te1": "text_encoder", "te2": "text_encoder_2", "te3": "text_encoder_3"}
_SIDES = {"A": "down", "B": "up"}
#: What the input of a layer is as wide as: by part, the end of the layer's name, and "part.key" of the model.
_WIDTHS = (
    ("unet", "attn2_to_k", "unet.cross_attention_dim"),
    ("unet", "attn2_to_v", "unet.cross_attention_dim"),
    ("text_encoder", "self_attn_q_proj", "text_encoder.hidden_size"),
    ("text_encoder", "self_attn_v_proj", "text_encoder.hidden_size"),
    ("text_encoder_2", "self_attn_q_proj", "text_encoder_2.hidden_size"),
    ("text_encoder_2", "self_attn_v_proj", "text_encoder_2.hidden_size"),
)
#: Of which models a text of so many channels is.
_TEXTS = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "SDXL"}
#: Names that are shown of what is not understood.
_SHOWN = 3


def troubles(file: Path, layout: Layout, family: str, parts: Parts) -> Iterator[Trouble]:
    """What keeps a LoRA from being fused into a model."""
    if trouble := unreadable(file, "LoRA"):
        yield trouble
        return
    tensors = shapes(file)
    unknown = [name for name in tensors if _read(name) is None]
    if unknown or not tensors:
        shown = f"such as {', '.join(unknown[:_SHOWN])}" if unknown else "none at all"
        yield Trouble(
            f"{file} has tensors that are no LoRA's ({shown}), and names of diffusers or of kohya's scripts are wanted",
            "set `path` to a plain LoRA; DoRA, LoHa and LoKr are not handled",
        )
        return
    sides: dict[tuple[str, str], set[str]] = {}
    for name in tensors:
        part, layer, side = _read(name) or ("", "", "")
        sides.setdefault((part, layer), set()).add(side)
    of = {part for part, _ in sides}
    if foreign := sorted(part for part in of if part not in layout.kinds):
        own = [part for part in ("unet", "transformer", "text_encoder", "text_encoder_2") if part in layout.kinds]
        wanted = f"{', '.join(own[:-1])} and {own[-1]}"
        hint = " (SDXL's)" if "text_encoder_2" in foreign else ""
        yield Trouble(f"{file} changes {' and '.join(foreign)}{hint}, and {family} has {wanted}", _ANOTHER)
        return
    if lonely := [layer for (_, layer), found in sides.items() if not {"up", "down"} <= found]:
        yield Trouble(f"{file} has one of two matrices of {len(lonely)} layers, {lonely[0]} first", _AGAIN)
    yield from _of_another_width(file, tensors, parts)


_ANOTHER = "name a LoRA of this model's family"
_AGAIN = "fetch it again, whole"


def _of_another_width(file: Path, tensors: Mapping[str, tuple[int, ...]], parts: Parts) -> Iterator[Trouble]:
    said = set()
    for name, shape in tensors.items():
        part, layer, side = _read(name) or ("", "", "")
        if side != "down" or len(shape) < 2:
            continue
        for of, end, path in _WIDTHS:
            expected = value_of(parts, path)
            if part != of or not layer.endswith(end) or expected is None or shape[1] == expected or path in said:
                continue
            said.add(path)
            hints = [f" ({_TEXTS[width]})" if width in _TEXTS else "" for width in (shape[1], expected)]
            yield Trouble(
                f"{file} is of a model whose {path} is {shape[1]}{hints[0]}, and this one's is {expected}{hints[1]}",
                _ANOTHER,
            )


def layers(file: Path) -> int:
    """How many layers a LoRA changes."""
    return len({read[:2] for name in shapes(file) if (read := _read(name))})


def _read(name: str) -> tuple[str, str, str] | None:
    """The part, the layer with underscores, and "up", "down" or "" for the factor; None if it is no LoRA's."""
    if found := _DIFFUSERS.fullmatch(name):
        side = found["side"] or _SIDES[found["peft"]]
        return found["part"], found["layer"].replace(".", "_"), side
    if found := _KOHYA.fullmatch(name):
        return _PARTS.get(found["part"], found["part"]), found["layer"], found["side"] or ""
    return None
