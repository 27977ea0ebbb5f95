"""Where the emoji font is found, and the glyphs cut out of it. `python -m scenes.font --unpack` fetches it."""

import argparse
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scenes.world import COLOURS, NEW_THINGS, THINGS

#: Names the font file (Noto Color Emoji, OFL) where the usual places do not hold it.
FONT_SETTING = "SCENES_FONT"
#: Relative to the repository: `make font` unpacks Debian's fonts-noto-color-emoji there, without root.
FOLDER = Path(__file__).parent.parent / ".font"
INSTALLED = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
UNPACKED = FOLDER / INSTALLED.relative_to("/")
PACKAGE = "fonts-noto-color-emoji"
#: The only bitmap size in the font; any other is refused by FreeType.
GLYPH_SIZE = 109
#: Rec. 601 luma.
GREY = np.array([0.299, 0.587, 0.114], np.float32)


class FontMissing(RuntimeError):
    """The emoji font is not on this machine."""


def font_path() -> Path:
    """The emoji font's file.

    Raises:
        FontMissing: it is in none of the places looked at; says how to get it.
    """
    named = os.environ.get(FONT_SETTING)
    for path in [Path(named)] if named else [UNPACKED, INSTALLED]:
        if path.is_file():
            return path
    raise FontMissing(
        f"NotoColorEmoji.ttf is not at {named or f'{UNPACKED} or {INSTALLED}'}: run `make font` where apt is at hand, "
        f"or name the file with {FONT_SETTING}"
    )


@cache
def sprite(thing: str, tint: str | None = None) -> Image.Image:
    """The thing's glyph as RGBA, cropped to what it covers; its shading is kept where it is tinted."""
    if tint:
        pixels = np.asarray(sprite(thing)).astype(np.float32)
        shade = np.clip(0.25 + pixels[..., :3] @ GREY / 255 * 0.95, 0, 1.15)[..., None]
        colour = np.clip(shade * np.array(COLOURS[tint], np.float32), 0, 255)
        return Image.fromarray(np.concatenate([colour, pixels[..., 3:]], -1).astype(np.uint8), "RGBA")
    canvas = Image.new("RGBA", (160, 160))
    font = ImageFont.truetype(str(font_path()), GLYPH_SIZE)
    ImageDraw.Draw(canvas).text((10, 10), (THINGS | NEW_THINGS)[thing], font=font, embedded_color=True)
    return canvas.crop(canvas.getbbox())


def unpack() -> None:
    """Downloads Debian's package and unpacks it into `FOLDER`; needs apt, and no root.

    Raises:
        FontMissing: there is no apt here, or it does not have the package.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise FontMissing(f"there is no apt here: name the file of Noto Color Emoji with {FONT_SETTING}")
    with tempfile.TemporaryDirectory() as folder:
        # Lists of our own: a fresh machine has none, and only root may write the system's.
        (Path(folder) / "lists/partial").mkdir(parents=True)
        apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={folder}/lists", "-o", "APT::Sandbox::User=root"]
        for command in (["update"], ["download", PACKAGE]):
            done = subprocess.run([*apt, *command], cwd=folder, capture_output=True, text=True)
            if done.returncode:
                raise FontMissing(f"apt-get {command[0]} failed: {done.stderr.strip().splitlines()[-1:]}")
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(FOLDER)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--unpack", action="store_true", help="fetch the font where it is missing; never fails")
    try:
        if parser.parse_args().unpack and not (
            os.environ.get(FONT_SETTING) or UNPACKED.is_file() or INSTALLED.is_file()
        ):
            unpack()
        print(f"emoji font: {font_path()}")
    except FontMissing as missing:
        print(f"no emoji font, drawing is off: {missing}")


if __name__ == "__main__":
    main()
