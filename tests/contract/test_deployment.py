"""What is deployed is what is tested: the files of compose and Docker name things that exist.

The chart has files of its own, test_chart*.py.
"""

import re
from itertools import chain
from pathlib import Path

import pytest
import yaml

from process.settings import SECRETS_DIR
from service.app import create_app
from service.settings import Settings
from stack.services import commands
from tools.settings_table import READERS

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
BUILT = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
#: Runs to its end before all others, with rights that no other has.
PASSWORDS = BUILT["passwords"]
OURS = {name: service for name, service in BUILT.items() if service is not PASSWORDS}
SETTINGS = {name.upper() for settings in READERS.values() for name in settings.model_fields}
#: Variables that no settings class reads: where secret files lie, and where libraries keep what they fetch.
OTHERS = {SECRETS_DIR, "HF_HOME"}
STARTED = {tuple(command[1:]) for _, command in commands({"scenes": 1})}
#: Ran to its end before the API starts.
FIRST_KEY = ("-m", "admin", "keys", "create", "first", "--unless-any")


def test_every_process_of_the_stack_is_deployed_with_the_very_command_that_is_tested():
    assert all(service["command"][0] == "python" for service in OURS.values())
    assert {tuple(service["command"][1:]) for service in OURS.values()} == STARTED | {FIRST_KEY}


def test_a_first_key_is_made_before_the_api_starts():
    assert tuple(OURS["first-key"]["command"][1:]) == FIRST_KEY
    assert OURS["api"]["depends_on"]["first-key"]["condition"] == "service_completed_successfully"


def test_every_variable_is_a_setting():
    named = chain(
        *(service["environment"] for service in OURS.values()),
        *(re.findall(r"^ENV (\w+)=", (ROOT / name).read_text(), re.M) for name in ("Dockerfile", "Dockerfile.gpu")),
    )

    assert set(named) <= SETTINGS | OTHERS


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_every_file_that_is_copied_is_there(name):
    copied = [line.split()[1:-1] for line in (ROOT / name).read_text().splitlines() if line.startswith("COPY ")]

    assert copied
    assert [source for sources in copied for source in sources if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_an_images_own_command_is_one_of_the_stacks(name):
    found = re.findall(r'^CMD \["python", (.*)\]$', (ROOT / name).read_text(), re.M)

    assert found
    assert {tuple(part.strip(' "') for part in command.split(",")) for command in found} <= STARTED


def test_every_probe_is_a_route():
    routes = set(create_app(Settings()).openapi()["paths"])
    asked = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", str(COMPOSE["services"]["api"]["healthcheck"]))

    assert {"/readyz"} == set(asked) <= routes


def test_every_process_shows_its_metrics_where_prometheus_looks():
    # The API shows its own at its own port; what is over at once shows nothing.
    for service in (service for name, service in OURS.items() if name not in ("api", "first-key")):
        assert service["environment"]["METRICS_PORT"] == "9100"


def test_redis_keeps_what_was_accepted():
    command = COMPOSE["services"]["redis"]["command"]

    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--appendonly") + 1] == "yes"


def test_a_worker_is_given_longer_to_end_than_it_takes():
    for service in ("worker", "worker-gpu"):
        deployed = COMPOSE["services"][service]
        assert int(deployed["stop_grace_period"].rstrip("s")) > float(deployed["environment"]["GRACE"])
