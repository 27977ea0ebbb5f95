"""`python -m tools.swagger_ui VERSION`: takes the files of the page at `/docs` from npm's package `swagger-ui-dist`.

Writes them into service/reference, packed, with their licence, and the hash of every script and style into the page.
Without VERSION it renews the hashes alone. Needs npm (requirements/dev.txt has it).
"""

import argparse
import base64
import gzip
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "service" / "reference"
#: Behind the name of a file that lies packed, as `service.http.pages` reads it.
PACKED = ".gz"
PACKAGE = "swagger-ui-dist"
PAGE = FOLDER / "index.html"
#: Says in its first line which version the files are of.
NOTICE = FOLDER / "LICENSE.txt"
PACKED_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")
ICON = "favicon-32x32.png"
LICENCES = ("NOTICE", "LICENSE", "swagger-ui-bundle.js.LICENSE.txt")
#: A script or a style of the page, and its hash.
_SUM = re.compile(r'((?:src|href)="docs/([^"]+)" integrity=")[^"]*"')


def take(version: str) -> None:
    """The files of a version, from the registry that npm is set up with."""
    with tempfile.TemporaryDirectory(prefix="p2p-swagger-") as folder:
        npm = Path(sys.executable).with_name("npm")
        command = [str(npm) if npm.exists() else "npm", "pack", f"{PACKAGE}@{version}", "--silent"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            package.extractall(folder, filter="data")
        source = Path(folder, "package")
        for name in PACKED_FILES:
            # Without a time in it: the same version gives the same bytes.
            packed = gzip.compress((source / name).read_bytes(), compresslevel=9, mtime=0)
            (FOLDER / f"{name}{PACKED}").write_bytes(packed)
        (FOLDER / ICON).write_bytes((source / ICON).read_bytes())
        texts = [(source / name).read_text(encoding="utf-8") for name in LICENCES]
    head = f"{', '.join((*PACKED_FILES, ICON))}: from {PACKAGE} {version}\n"
    NOTICE.write_text("\n".join([head, *texts]), encoding="utf-8")


def integrity(path: Path) -> str:
    """The hash of a file as the attribute `integrity` has it (W3C's Subresource Integrity), of what is unpacked."""
    content = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(path.name + PACKED).read_bytes())
    return f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"


def summed(page: str) -> str:
    """The page with the hash of every file that it runs."""
    return _SUM.sub(lambda found: f'{found[1]}{integrity(FOLDER / found[2])}"', page)


def main() -> None:
    """Take a version, if one is named, and write the hashes."""
    parser = argparse.ArgumentParser(prog="python -m tools.swagger_ui", description=__doc__.splitlines()[0])
    parser.add_argument("version", nargs="?")
    if version := parser.parse_args().version:
        take(version)
    PAGE.write_text(summed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
