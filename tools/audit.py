"""`python -m tools.audit`: whether anything that is pinned has a known vulnerability.

Every pin of requirements/, of the TypeScript client's lock file and of the page at `/docs` is held to
requirements/advisories.toml, and osv.dev is asked about it. A finding ends it with status 1. Where osv.dev cannot be
reached it says so, and ends with 0: a machine that is cut off can still check and test. `--strict` ends with 2 then.
OSV_URL names a mirror of osv.dev.
"""

import argparse
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.notices import ROOT, pinned
from tools.swagger_ui import NOTICE, PACKAGE

ADVISORIES = ROOT / "requirements" / "advisories.toml"
LOCK_FILE = ROOT / "clients" / "typescript" / "package-lock.json"
OSV = "https://api.osv.dev"
#: Seconds that osv.dev may be silent, and how many packages one request may ask about (its own limit).
SILENCE, AT_ONCE = 20, 1000
#: Days after which the list is called old.
OLD = 90


@dataclass(frozen=True, order=True)
class Pin:
    """A package in the version that is used; the ecosystem as osv.dev names it."""

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True, order=True)
class Finding:
    """An advisory that is about a pin."""

    pin: Pin
    id: str
    what: str = ""

    def __str__(self) -> str:
        return f"{self.pin.name} {self.pin.version} ({self.pin.ecosystem}): {self.id} {self.what}".rstrip()


def pins() -> Iterator[Pin]:
    """Everything that is installed or served."""
    for name, version in pinned():
        yield Pin("PyPI", canonicalize_name(name), version)
    for place, package in json.loads(LOCK_FILE.read_text(encoding="utf-8"))["packages"].items():
        if place:
            yield Pin("npm", place.rpartition("node_modules/")[2], package["version"])
    (version,) = re.findall(rf"from {PACKAGE} (\S+)", NOTICE.read_text(encoding="utf-8").partition("\n")[0])
    yield Pin("npm", PACKAGE, version)


def listed(known: Mapping[str, Any], used: Sequence[Pin]) -> Iterator[Finding]:
    """What the list says of pins."""
    for advisory in known["advisory"]:
        for pin in used:
            same = pin.ecosystem == advisory.get("ecosystem", "PyPI") and pin.name == advisory["package"]
            if same and SpecifierSet(advisory["affected"]).contains(pin.version, prereleases=True):
                yield Finding(pin, advisory["id"], advisory["what"])


def asked(used: Sequence[Pin], url: str) -> Iterator[Finding]:
    """What osv.dev says of pins.

    Raises:
        httpx.HTTPError: it cannot be reached, or does not answer as it should.
    """
    with httpx.Client(base_url=url, timeout=SILENCE) as client:
        for start in range(0, len(used), AT_ONCE):
            some = used[start : start + AT_ONCE]
            queries = [{"package": {"ecosystem": p.ecosystem, "name": p.name}, "version": p.version} for p in some]
            answer = client.post("/v1/querybatch", json={"queries": queries}).raise_for_status()
            for pin, result in zip(some, answer.json()["results"], strict=True):
                # A page of its findings is enough to fail: osv.dev gives more pages where there are many.
                yield from (Finding(pin, each["id"]) for each in result.get("vulns", ()))


def accepted(known: Mapping[str, Any], today: date) -> set[str]:
    """Advisories that are lived with today."""
    return {each["id"] for each in known["accepted"] if today <= each["until"]}


def audit(known: Mapping[str, Any], used: Sequence[Pin], url: str, today: date) -> tuple[list[Finding], list[str]]:
    """What is found, and what is to be said beside it: whether osv.dev was asked, and how old the list is."""
    found, remarks = set(listed(known, used)), []
    try:
        found |= set(asked(used, url))
        remarks.append(f"{url} was asked about {len(used)} packages")
    except (httpx.HTTPError, ValueError, KeyError) as error:
        reason = str(error) or type(error).__name__
        remarks.append(
            f"NOT ASKED: {url} cannot be reached ({reason}); {len(used)} packages were held to the "
            f"{len(known['advisory'])} advisories of {ADVISORIES.name} alone, of {known['checked']}"
        )
    if (age := (today - known["checked"]).days) > OLD:
        remarks.append(f"{ADVISORIES.name} is {age} days old: look its packages up again")
    lived_with = accepted(known, today)
    return sorted(each for each in found if each.id not in lived_with), remarks


def main() -> int:
    """Say what is found; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.audit", description=__doc__.splitlines()[0])
    parser.add_argument("--strict", action="store_true", help="fail where osv.dev cannot be reached")
    strict = parser.parse_args().strict
    known = tomllib.loads(Path(ADVISORIES).read_text(encoding="utf-8"))
    found, remarks = audit(known, sorted(set(pins())), os.environ.get("OSV_URL") or OSV, date.today())
    print(*remarks, *found, sep="\n", file=sys.stderr if found else sys.stdout)
    if found:
        return 1
    was_asked = not remarks[0].startswith("NOT ASKED")
    print("no known vulnerability was found" if was_asked else "no pin is on the list")
    return 2 if strict and not was_asked else 0


if __name__ == "__main__":
    raise SystemExit(main())
