"""What is deployed is what is tested: the files of compose and Docker name things that exist.

The chart has files of its own, test_chart*.py.
"""

import re
from itertools import chain
from pathlib import Path

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
#: Variables that no settings class reads: where secret files lie, where libraries keep what they fetch, how many
#: threads torch has, and where Python keeps bytecode.
OTHERS = {SECRETS_DIR, "HF_HOME", "OMP_NUM_THREADS", "PYTHONPYCACHEPREFIX"}
#: Of every image.
DOCKERFILE = (ROOT / "Dockerfile").read_text()
#: By the name of a stage, its lines.
STAGES = {
    re.match(r"\S+ AS (\S+)", stage)[1]: stage.splitlines() for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.M)[1:]
}
STARTED = {tuple(command[1:]) for _, command in commands({"scenes": 1})}
#: The worker that is deployed serves the other built-in models too, as those of test_several_models.py do.
WORKER = ("-m", "worker", "--model", "scenes")
SHARED = (*WORKER, "--model", "scenes-tokens", "--model", "scenes-flow")
#: Ran to its end before the API starts.
FIRST_KEY = ("-m", "admin", "keys", "create", "first", "--unless-any")


def test_every_process_of_the_stack_is_deployed_with_the_very_command_that_is_tested():
    assert all(service["command"][0] == "python" for service in OURS.values())
    assert {tuple(service["command"][1:]) for service in OURS.values()} == STARTED - {WORKER} | {SHARED, FIRST_KEY}


def test_a_first_key_is_made_before_the_api_starts():
    assert tuple(OURS["first-key"]["command"][1:]) == FIRST_KEY
    assert OURS["api"]["depends_on"]["first-key"]["condition"] == "service_completed_successfully"


def test_every_variable_is_a_setting():
    named = chain(
        *(service["environment"] for service in OURS.values()),
        re.findall(r"^ENV (\w+)=", DOCKERFILE, re.M),
    )

    assert set(named) <= SETTINGS | OTHERS


def copied() -> set[str]:
    """The files and folders of the repository that images are made of."""
    words = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    return {source for sources in words for source in sources if not sources[0].startswith("--from=")}


def test_every_file_that_is_copied_is_there():
    assert copied()
    assert [source for source in copied() if not (ROOT / source).exists()] == []


def test_the_builder_is_sent_what_is_copied_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert next(line for line in lines if not line.startswith("#")) == "*"
    assert {path for path in sent if not any(f"{path}/".startswith(f"{other}/") for other in copied())} == set()
    assert {path for path in copied() if not any(f"{path}/".startswith(f"{other}/") for other in sent)} == set()


def test_what_is_built_is_a_stage_and_the_file_for_gpus_builds_theirs():
    assert {service["build"]["target"] for service in BUILT.values()} == {"service", "worker", "worker-gpu"}
    assert {service["build"]["target"] for service in BUILT.values()} <= STAGES.keys()
    # One file has all of them; under its other name it builds the last one, where no stage is named.
    assert (ROOT / "Dockerfile.gpu").readlink() == Path("Dockerfile")
    assert list(STAGES)[-1] == "worker-gpu"


def test_an_image_holds_the_licences_and_what_it_was_built_from():
    assert "COPY LICENSE THIRD_PARTY_NOTICES.md models.toml ./" in STAGES["service"]
    for name in ("worker", "worker-gpu"):
        assert "COPY --from=worker-code /app ./" in STAGES[name]
    for service in BUILT.values():
        assert {name.rpartition(".")[2] for name in service["build"]["labels"]} == {"revision", "source"}


def test_an_images_own_command_is_one_of_the_stacks():
    found = re.findall(r'^CMD \["python", (.*)\]$', DOCKERFILE, re.M)

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


def test_a_worker_ends_before_what_it_stores_its_pictures_in():
    """compose stops what others depend on last."""
    for name in ("worker", "worker-gpu", "api", "reaper", "outbox"):
        assert {"redis", "storage"} <= COMPOSE["services"][name]["depends_on"].keys(), name


def test_workers_of_one_machine_do_not_take_each_others_cores():
    for name in ("worker", "worker-gpu"):
        assert COMPOSE["services"][name]["environment"]["OMP_NUM_THREADS"] == "${WORKER_THREADS:-1}"


def test_every_part_that_stays_is_looked_at_and_no_log_or_memory_grows_for_ever():
    for name, service in COMPOSE["services"].items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        if service["restart"] != "no":
            assert "healthcheck" in service, name
            assert "mem_limit" in service or name == "redis", name


def test_a_webhook_can_go_to_the_machine_itself():
    assert COMPOSE["services"]["outbox"]["extra_hosts"] == ["host.docker.internal:host-gateway"]
