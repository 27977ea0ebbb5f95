"""What is deployed has passwords, shows none of them, and runs without rights."""

import re
import subprocess
from collections import defaultdict

import pytest
import redis

from admin.passwords import make_passwords
from stack.processes import running
from stack.redis_server import private_socket, server_program, url_of, wait_for
from tests.chart import TRY_OUT, manifests, of_kind, pod_of
from tests.contract.test_deployment import BUILT, COMPOSE, OURS, PASSWORDS, ROOT, STAGES

SERVICES = COMPOSE["services"]
SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
#: Files in which commands stand that people and programs run.
COMMANDS = [
    path
    for pattern in ("*.md", "docs/*.md", "deploy/**/*.*", "docker-compose.yml", "Makefile", ".ci/*", "Dockerfile*")
    for path in sorted(ROOT.glob(pattern))
]
#: How a secret becomes an argument of a process.
SECRET_ARGUMENTS = re.compile(
    r"--from-literal|--requirepass|--masterauth|--auth-key|(redis|valkey)-cli\b[^\n`|]* -a |--pass\b"
    r"|python -m [\w.]+ [^\n`]*(redis|rediss|s3\+https?)://[^\s`/]*:[^\s`/]*@"
)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_command_that_is_written_down_has_a_secret_among_its_arguments(path):
    assert [found[0] for found in SECRET_ARGUMENTS.finditer(path.read_text(encoding="utf-8"))] == []


def test_no_secret_of_compose_stands_in_the_file_or_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()

    assert re.findall(r"://[^\s/]*:[^\s/]*@", text) == []
    assert re.findall(r"\$\{\w*(?:SECRET|PASSWORD|KEY)\w*:-[^}]+\}", text) == []


def test_every_part_of_compose_waits_for_the_passwords_and_reads_its_own_alone():
    for name in ("redis", "storage"):
        assert SERVICES[name]["depends_on"]["passwords"]["condition"] == "service_completed_successfully"
    seen = {name: [each.partition(":")[0] for each in service["volumes"] if "secrets" in each.partition(":")[0]]
            for name, service in SERVICES.items() if name != "passwords"}  # fmt: skip

    assert seen.pop("redis") == ["redis-secrets"]
    assert seen.pop("storage") == ["storage-secrets"]
    assert {tuple(volumes) for volumes in seen.values()} == {("plane-secrets",)}
    assert all(":/secrets:ro" in str(service["volumes"]) for name, service in SERVICES.items() if name != "passwords")
    assert all(service["environment"]["SECRETS_DIR"] == "/secrets" for service in OURS.values())


def test_what_fetches_models_can_write_them_somewhere():
    """Its root is read-only."""
    for name in ("api", "worker", "worker-gpu"):
        home = OURS[name]["environment"]["HF_HOME"]
        assert f"models:{home}" in OURS[name]["volumes"]


def test_what_makes_the_passwords_reaches_nobody():
    assert PASSWORDS["network_mode"] == "none"
    assert "python -m admin.passwords /made --redis redis:6379 --storage" in PASSWORDS["command"][-1]


@pytest.mark.parametrize("deployed", ["compose", "kubernetes"])
def test_the_redis_that_is_deployed_lets_nobody_in_without_its_password(deployed, tmp_path):
    """Its own command, on a socket here, with the file that is made for it."""
    (kubernetes,) = of_kind(manifests(TRY_OUT), "StatefulSet")
    (container,) = pod_of(kubernetes)["spec"]["containers"]
    command = SERVICES["redis"]["command"] if deployed == "compose" else container["command"]
    make_passwords(tmp_path, redis="redis:6379", storage="storage:9000/artifacts")
    config = tmp_path / "redis" / "redis.conf"
    password = config.read_text().split()[1]
    if "--dir" in command:
        command = [*command[: command.index("--dir")]]
    assert command[:2] == ["valkey-server", "/secrets/redis.conf"]
    if "valkey" not in subprocess.run([server_program(), "--version"], capture_output=True, text=True).stdout.lower():
        pytest.skip("another server than the one that is deployed")

    with private_socket() as path:
        here = ["--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path)]
        log = tmp_path / "redis.log"
        with running("redis", [server_program(), str(config), *command[2:], *here], log) as server:
            wait_for(url_of(path, login=f":{password}@"), server)
            with redis.Redis(unix_socket_path=str(path)) as client, pytest.raises(redis.AuthenticationError):
                client.get("job")


def test_only_what_makes_the_passwords_is_root_and_nobody_has_rights():
    assert {name for name, service in SERVICES.items() if str(service.get("user", "")).startswith("0")} == {"passwords"}
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # Redis writes to its volume, and begins as root to become its own user.
        assert service.get("read_only") or name == "redis", name
    assert {name for name, service in SERVICES.items() if "cap_add" in service} == {"passwords", "redis"}


@pytest.mark.parametrize("target", sorted({service["build"]["target"] for service in BUILT.values()}))
def test_every_image_ends_as_a_user_that_is_named_by_number(target):
    users = [line for line in STAGES[target] if line.startswith("USER ")]

    # Kubernetes' runAsNonRoot cannot look a name up.
    assert users == ["USER 1000"]


def test_every_test_that_the_security_document_names_is_there():
    named, last = [], ""
    for file, test in re.findall(r"`(test_\w+\.py)?(?:::(test_\w+))?`", SECURITY):
        last = file or last
        named.append((last, test))
    tests = defaultdict(str)
    for path in (ROOT / "tests").rglob("test_*.py"):
        tests[path.name] += path.read_text(encoding="utf-8")  # two folders may have a file of one name

    assert len(named) > 20
    assert [file for file, _ in named if file and file not in tests] == []
    assert [test for file, test in named if file and test and f"def {test}(" not in tests[file]] == []


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)", SECURITY))
def test_every_file_that_the_security_document_links_to_is_there(link):
    assert (ROOT / "docs" / link).resolve().exists()
