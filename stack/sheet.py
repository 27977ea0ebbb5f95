"""Draws a finished job on one sheet: a row per picture, the picture first, then every word's heat map."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

_PAPER, _INK, _QUIET = "#fafaf8", "#1c1c1e", "#7a7a80"
_PICTURE, _HEATMAP = 256, 168
_MARGIN, _GAP, _ROW_GAP = 40, 14, 36
_CAPTION, _LABEL, _NOTE = 22, 16, 15


def draw_sheet(folder: Path, job: dict) -> Path:
    """The sheet of a downloaded job, as `sheet.png` beside its artifacts.

    Args:
        folder: where the artifacts lie under their names.
        job: as `GET /v1/edits/{id}` gave it.
    """
    spec = job["spec"]
    rows = [(spec["source"]["prompt"], "source")] + [(t["prompt"], _what(t)) for t in spec["targets"]]
    artifacts = [_of_picture(job, index) for index in range(len(rows))]
    most = max(len(heatmaps) for _, heatmaps in artifacts)
    row_height = _CAPTION + 14 + _PICTURE + _LABEL + 10
    width = 2 * _MARGIN + _PICTURE + most * (_HEATMAP + _GAP) + (_GAP if most else 0)
    sheet = Image.new("RGB", (width, 2 * _MARGIN + len(rows) * (row_height + _ROW_GAP) - _ROW_GAP), _PAPER)
    for index, ((prompt, note), (picture, heatmaps)) in enumerate(zip(rows, artifacts, strict=True)):
        top = _MARGIN + index * (row_height + _ROW_GAP)
        _draw_row(sheet, top, prompt, note, folder / picture, [(folder / name, word) for name, word in heatmaps])
    path = folder / "sheet.png"
    sheet.save(path, optimize=True)
    return path


def _draw_row(
    sheet: Image.Image, top: int, prompt: str, note: str, picture: Path, heatmaps: list[tuple[Path, str]]
) -> None:
    draw = ImageDraw.Draw(sheet)
    caption, quiet = ImageFont.load_default(_CAPTION), ImageFont.load_default(_NOTE)
    draw.text((_MARGIN, top), prompt, font=caption, fill=_INK)
    draw.text((_MARGIN + draw.textlength(prompt, caption) + 14, top + 6), note, font=quiet, fill=_QUIET)
    top += _CAPTION + 14
    sheet.paste(_square(picture, _PICTURE), (_MARGIN, top))
    left = _MARGIN + _PICTURE + 2 * _GAP
    label = ImageFont.load_default(_LABEL)
    for path, word in heatmaps:
        bottom = top + _PICTURE
        sheet.paste(_square(path, _HEATMAP), (left, bottom - _HEATMAP))
        draw.text((left + _HEATMAP / 2, bottom + 6), word, font=label, fill=_INK, anchor="ma")
        left += _HEATMAP + _GAP


def _square(path: Path, side: int) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.pad(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS, color=_PAPER)


def _of_picture(job: dict, index: int) -> tuple[str, list[tuple[str, str]]]:
    """A picture's file and its heat maps' files and words, in the order of the prompt."""
    mine = [artifact for artifact in job["artifacts"] if artifact["picture"] == index]
    (picture,) = (artifact["name"] for artifact in mine if artifact["kind"] == "image")
    return picture, [(artifact["name"], artifact["word"]) for artifact in mine if artifact["kind"] == "heatmap"]


def _what(target: dict) -> str:
    """A target's edits in a few words."""
    parts = []
    for edit in target["edits"]:
        weights = ", ".join(f"{weight['word']} x{weight['weight']:g}" for weight in edit.get("weights", ()))
        parts.append(f"{edit['kind']} {weights}".strip())
    if target["local_blend"]:
        parts.append("local blend " + ", ".join(word["word"] for word in target["local_blend"]["words"]))
    return " + ".join(parts)
