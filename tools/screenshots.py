"""`python -m tools.screenshots`: starts everything, runs the playground's examples, and takes its pictures anew.

Those of the examples go into the page itself (`service/playground/page/examples`), the page's own into
`docs/playground`: at desktop and phone width, light and dark. Needs a Chromium (`apt install chromium`).
"""

import argparse
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from process.interruption import Interrupted, interruptible
from stack.patience import ANSWER, PATIENCE
from stack.processes import NotStarted
from stack.services import stack

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "service" / "playground" / "page"
PICTURES = ROOT / "docs" / "playground"
#: Programs by which distributions call it. Playwright's own download is never asked for: it does not work everywhere.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS: Mapping[str, ViewportSize] = {
    "desktop": {"width": 1360, "height": 940},
    "phone": {"width": 360, "height": 780},
}
THEMES: Sequence[Literal["light", "dark"]] = ("light", "dark")
#: Milliseconds: a run on a busy machine.
PATIENCE_MS = 1000 * PATIENCE


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURES, help="where the page's pictures go")
    arguments = parser.parse_args()
    try:
        with (
            interruptible(),
            tempfile.TemporaryDirectory(prefix="p2p-page-") as folder,
            stack(Path(folder), {"scenes": 1}) as started,
        ):
            _examples(started.url)
            _page(started.url, arguments.out)
    except (NotStarted, httpx.HTTPError) as error:
        sys.exit(f"no pictures were taken: {error}")
    except Interrupted as interrupted:
        print(interrupted)
        sys.exit(interrupted.status)


def browser_program() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def _examples(url: str) -> None:
    """A picture of each example: its source, and its first edit beside it."""
    folder = PAGE / "examples"
    with httpx.Client(base_url=url, timeout=ANSWER) as client:
        for example in json.loads((PAGE / "examples.json").read_text(encoding="utf-8")):
            body = example["body"]
            if name := example.get("file"):
                sent = client.post("/v1/images", files={"image": (folder / name).read_bytes()}).raise_for_status()
                body["source"]["image"] = {"upload": sent.json()["id"]}
            job = client.post("/v1/edits", json=body, headers={"Prefer": "wait=60"}).raise_for_status().json()
            pair = [_picture(client, job, number) for number in (0, 1)]
            both = Image.new("RGB", (256, 128))
            for number, picture in enumerate(pair):
                both.paste(picture, (128 * number, 0))
            _write(both, folder / f"{example['name']}.webp", quality=90)


def _picture(client: httpx.Client, job: dict, number: int) -> Image.Image:
    """The middle of a picture, as large as a card shows it."""
    (url,) = (a["url"] for a in job["artifacts"] if a["kind"] == "image" and a["picture"] == number)
    picture = Image.open(io.BytesIO(client.get(url).raise_for_status().content))
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side)).resize((128, 128), Image.Resampling.LANCZOS)


def _page(url: str, out: Path) -> None:
    """The page with its first example done; in the dark, a word is pointed at."""
    if (program := browser_program()) is None:
        raise NotStarted("there is no Chromium: apt install chromium")
    with sync_playwright() as playwright:
        # Root, which containers are, gets no sandbox; and nothing but our own page is shown.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            for width in WIDTHS:
                for theme in THEMES:
                    _shoot(browser, url, width, theme, out / f"{width}-{theme}.webp")
        finally:
            browser.close()


def _shoot(browser: Browser, url: str, width: str, theme: Literal["light", "dark"], path: Path) -> None:
    phone = width == "phone"
    context = browser.new_context(
        viewport=WIDTHS[width],
        color_scheme=theme,
        device_scale_factor=2 if phone else 1,  # phones are so fine at least
        has_touch=phone,
    )
    page = context.new_page()
    page.goto(url)
    run_first_example(page)
    if theme == "dark":
        page.locator(".edit .w.changed").first.hover()
        page.locator(".edit .heat.on").wait_for()
    page.wait_for_timeout(400)  # what fades in has done so
    _write(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), path, lossless=True)
    context.close()


def run_first_example(page: Page) -> None:
    """The page as it opens, run to its end."""
    page.locator("#composer .word.changed").first.wait_for()
    page.locator("#run").click()
    page.locator(".edit .w.changed").first.wait_for(timeout=PATIENCE_MS)


def _write(picture: Image.Image, path: Path, **how: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, "WEBP", method=6, **how)
    print(f"wrote {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
