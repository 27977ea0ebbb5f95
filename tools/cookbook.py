"""`python -m tools.cookbook`: sends every recipe of docs/cookbook.md to a stack of its own and draws what comes back.

The bodies are read from the document, so what is shown is what was asked for there.
"""

import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from p2p_client import Client
from stack.demo import MODEL, PHOTO
from stack.patience import PATIENCE
from stack.services import stack

DOCUMENT = Path(__file__).parents[1] / "docs" / "cookbook.md"
PICTURES = DOCUMENT.with_suffix("")
#: Where a recipe takes a picture: the id of the one that was sent goes there.
OWN_IMAGE = "img_..."

_PAPER, _INK = "#fafaf8", "#1c1c1e"
_SIDE, _MARGIN, _GAP, _CAPTION = 192, 16, 12, 15
#: Seconds that one recipe may take.


def recipes() -> Iterator[tuple[str, str]]:
    """The name and the body of every recipe."""
    for block in DOCUMENT.read_text(encoding="utf-8").split("```json recipe=")[1:]:
        name, _, rest = block.partition("\n")
        yield name, rest.partition("```")[0]


def cooked(client: Client, body: str) -> Image.Image:
    """What a recipe gives: a row for each seed, the source first, each picture under its prompt.

    Raises:
        ClientError: it was refused or failed.
    """
    if OWN_IMAGE in body:
        body = body.replace(OWN_IMAGE, client.upload(PHOTO).id)
    edit = client.wait(client.submit(json.loads(body)), timeout=PATIENCE)
    rows: dict[int | None, dict[int, Image.Image]] = {}
    for one in edit.artifacts:
        if one.kind == "image" and one.picture is not None:
            rows.setdefault(one.seed, {})[one.picture] = _fetched(client, one.url)
    spec = edit.spec or {}
    prompts = [spec["source"]["prompt"], *(target["prompt"] for target in spec["targets"])]
    return strip(
        [[row[index] for index in sorted(row)] for row in rows.values()],
        [_caption(prompt, index, spec) for index, prompt in enumerate(prompts)],
    )


def strip(rows: list[list[Image.Image]], captions: list[str]) -> Image.Image:
    """Pictures in rows, each column under its caption."""
    size = max((picture.size for row in rows for picture in row), key=lambda size: size[0])
    width, height = _SIDE * size[0] // size[1], _SIDE
    font = ImageFont.load_default(_CAPTION)
    sheet = Image.new(
        "RGB",
        (
            2 * _MARGIN + len(captions) * (width + _GAP) - _GAP,
            2 * _MARGIN + 2 * (_CAPTION + 4) + len(rows) * (height + _GAP) - _GAP,
        ),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for column, caption in enumerate(captions):
        left = _MARGIN + column * (width + _GAP)
        draw.multiline_text((left, _MARGIN - 6), _wrapped(caption, font, width), font=font, fill=_INK, spacing=2)
        for row, pictures in enumerate(rows):
            top = _MARGIN + 2 * (_CAPTION + 4) + row * (height + _GAP)
            sheet.paste(pictures[column].convert("RGB").resize((width, height), Image.Resampling.LANCZOS), (left, top))
    return sheet


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= width else [*lines, word]
    return "\n".join(lines)


def _caption(prompt: str, index: int, spec: Mapping[str, Any]) -> str:
    """A prompt, and how far its words are turned where nothing else tells one picture from the next."""
    edits = spec["targets"][index - 1]["edits"] if index else []
    weights = [f"{one['word']} x{one['weight']:g}" for edit in edits for one in edit.get("weights", ())]
    return f"{prompt}, {', '.join(weights)}" if weights else prompt


def _fetched(client: Client, url: str) -> Image.Image:
    return Image.open(io.BytesIO(client.http.get(url).raise_for_status().content))


def main() -> None:
    """Draw every recipe's picture."""
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="p2p-cookbook-") as folder,
        stack(Path(folder), {MODEL: 1}) as started,
        Client(started.url) as client,
    ):
        for name, body in recipes():
            path = PICTURES / f"{name}.png"
            # A palette of 256: a third of the bytes, and nothing that is seen.
            cooked(client, body).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{name}: {path}", flush=True)


if __name__ == "__main__":
    main()
