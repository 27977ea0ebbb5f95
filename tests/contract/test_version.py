"""The version stands in one place, `p2p/version.py`; files that cannot read it say the same."""

import json
import re
import tomllib
from pathlib import Path

import httpx
import pytest
import yaml

import p2p
import p2p_client
from p2p.version import CLIENT_USER_AGENT, USER_AGENT, VERSION
from service.app import create_app
from service.settings import Settings

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_it_is_a_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_the_package_takes_it_from_its_file():
    project = tomllib.loads(read("pyproject.toml"))

    assert "version" not in project["project"]
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "p2p/version.py"


def test_both_packages_say_it():
    assert p2p.__version__ == p2p_client.__version__ == VERSION


def test_the_description_of_the_api_says_it():
    assert create_app(Settings()).openapi()["info"]["version"] == VERSION
    assert yaml.safe_load(read("openapi.yaml"))["info"]["version"] == VERSION


@pytest.mark.parametrize("client", [p2p_client.Client, p2p_client.AsyncClient])
def test_requests_of_the_python_client_say_it(client):
    assert client().http.headers["User-Agent"] == CLIENT_USER_AGENT == f"p2p-client/{VERSION}"


def test_a_client_of_ones_own_keeps_its_name():
    own = httpx.Client(headers={"User-Agent": "shop/3"})

    assert p2p_client.Client(http=own).http.headers["User-Agent"] == "shop/3"


def test_the_typescript_client_says_it():
    lock = json.loads(read("clients/typescript/package-lock.json"))

    assert json.loads(read("clients/typescript/package.json"))["version"] == VERSION
    assert lock["version"] == lock["packages"][""]["version"] == VERSION


def test_images_say_it():
    text = read("Dockerfile")

    assert re.findall(r'org\.opencontainers\.image\.version="([^"]*)"', text) == [VERSION]
    assert {tag for tag in re.findall(r" -t p2p-edit-[\w-]+(\S*)", text)} == {f":{VERSION}"}


def test_what_compose_starts_is_an_image_of_it():
    images = re.findall(r"^\s*image: p2p-edit-[\w-]+(.*)$", read("docker-compose.yml"), re.M)

    assert images
    assert set(images) == {f":{VERSION}"}


def test_the_chart_says_it():
    chart = yaml.safe_load(read("deploy/helm/Chart.yaml"))

    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


def test_the_changelog_s_newest_version_is_it_or_what_is_not_released_yet():
    newest, *others = re.findall(r"^## (.*)$", read("CHANGELOG.md"), re.M)

    assert VERSION in (newest, *others[:1])
    assert newest in (VERSION, "Unreleased")


def test_what_the_service_sends_says_it():
    assert f"p2p-edit-service/{VERSION}" == USER_AGENT
    for sender in ("webhooks/post.py", "picture_files/by_url.py"):
        assert '"User-Agent": USER_AGENT' in read(sender)
