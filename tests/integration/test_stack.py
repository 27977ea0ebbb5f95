"""Starting and stopping everything: what comes up also goes, and what cannot come up says why."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import yaml
from PIL import Image

from process.redis_url import checked_redis_url
from stack import redis_server as module
from stack.ports import free_port
from stack.processes import NotStarted, python, running
from stack.redis_server import (
    guarded_command,
    private_socket,
    redis_server,
    server_command,
    server_program,
    url_of,
    wait_for,
)
from stack.services import stack
from tests.patience import PATIENCE, eventually
from tests.programs import printed

ROOT = Path(__file__).parents[2]


def test_a_free_port_is_never_one_that_an_outgoing_connection_is_given():
    """Such a port was taken between its choice and the start of the program that was to listen there."""
    linux = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(linux.read_text().split()[0]) if linux.exists() else 49152
    assert all(free_port() < lowest for _ in range(200))


def test_a_redis_is_up_for_as_long_as_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)
    with redis_server(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.ping()

    with redis.Redis.from_url(url, retry=None) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_only_this_user_can_open_the_redis_that_is_started(tmp_path, monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)
    with redis_server(tmp_path, keep=True) as url, redis.Redis.from_url(url) as client:
        client.set("job", "accepted")
        path = Path(urlsplit(url).path)
        listening = client.config_get("port")["port"]
        kept = [file for file in tmp_path.rglob("appendonlydir/**/*")]

        assert (listening, stat.S_IMODE(path.parent.stat().st_mode), path.parent.stat().st_uid) == (
            "0",
            0o700,
            os.getuid(),
        )
        assert kept
        assert [str(file) for file in kept if file.stat().st_mode & 0o077] == []
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["a folder", "50%", "a#b", "what?", "b\u00fcro", "it's", 'a"b'])
def test_any_folder_for_temporary_files_will_do(tmp_path, monkeypatch, name):
    monkeypatch.delenv("REDIS_URL", raising=False)
    (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))

    with redis_server(tmp_path / name) as url, redis.Redis.from_url(checked_redis_url(url)) as client:
        assert client.ping()


def test_a_long_folder_for_temporary_files_leaves_the_socket_reachable(tmp_path, monkeypatch):
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    with private_socket() as path, contextlib.closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(path))
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_redis_on_a_port_has_a_password_that_no_process_list_shows(tmp_path):
    port, password = free_port(), "hush-hush"
    command = guarded_command(port, password, tmp_path, keep=False)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    with running("redis", command, tmp_path / "redis.log") as server:
        wait_for(url, server)
        shown = Path(f"/proc/{server.pid}/cmdline").read_text() if os.path.isdir("/proc") else " ".join(command)
        with redis.Redis(port=port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        with pytest.raises(NotStarted, match="no Redis answers at") as refused:
            wait_for(url.replace(password, "wrong-word"), server)

    assert password not in shown
    assert "wrong-word" not in str(refused.value)
    assert stat.S_IMODE((tmp_path / "redis.conf").stat().st_mode) == 0o600


def test_a_redis_that_was_set_is_used(redis_url, tmp_path, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)

    with redis_server(tmp_path) as url:
        assert url == redis_url
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def packaged(monkeypatch) -> None:
    """A machine with no server of its own: what the tests start is the one in `requirements/dev.txt`."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(module.shutil, "which", lambda _: None)


def test_where_the_machine_has_no_server_the_installed_package_has_one(packaged, tmp_path):
    with redis_server(tmp_path) as url, redis.Redis.from_url(url) as client:
        server = client.info("server")

    # 9.0 and newer hold the fix of CVE-2025-49844, through which a Lua script leaves its sandbox.
    assert (server["server_name"], int(server["valkey_version"].split(".")[0])) == ("valkey", 9)


def test_what_an_older_servers_volume_holds_is_read_by_the_one_that_compose_starts(packaged, tmp_path):
    """Redis 7.4 ran there before, whose files say RDB version 12: Valkey by itself ends when it reads that."""
    (_, _, *options) = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["redis"]["command"]
    with private_socket() as path:
        _read_by_a_newer_one(path, options, tmp_path)


def _read_by_a_newer_one(path: Path, options: list[str], tmp_path: Path) -> None:
    command = server_command(path, tmp_path, keep=True)
    # Written without a checksum, so that the version in its head can be changed.
    with _serving([*command, "--rdbchecksum", "no"], path, tmp_path) as client:
        client.set("job", "accepted")
        client.bgrewriteaof()
        rewritten = ["appendonly.aof.2.base.rdb"]
        assert eventually(lambda: [base.name for base in tmp_path.glob("appendonlydir/*.base.*")] == rewritten)
    base = tmp_path / "appendonlydir" / "appendonly.aof.2.base.rdb"
    base.write_bytes(b"REDIS0012" + base.read_bytes()[9:])

    with _serving([*command, *options], path, tmp_path) as client:
        assert client.get("job") == b"accepted"


@contextmanager
def _serving(command: list[str], path: Path, folder: Path) -> Iterator[redis.Redis]:
    with running("redis", command, folder / "redis.log") as server:
        module.wait_for(url_of(path), server)
        with redis.Redis(unix_socket_path=str(path)) as client:
            yield client


def test_without_any_redis_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    monkeypatch.setattr(module, "find_spec", lambda _: None)

    with pytest.raises(NotStarted) as caught:
        server_program()

    assert "\n" not in str(caught.value)
    assert "apt install redis-server" in str(caught.value)


def test_a_model_that_is_not_there_ends_the_start_with_the_reason(as_users_start_it, tiny_models, tmp_path):
    declared = tiny_models.read_text().split("[[models]]")[1].replace('path = "model"', 'path = "gone"')
    tokenizer = tiny_models.parent / "model" / "tokenizer" / "tokenizer.json"
    text = "[[models]]" + declared.replace("model/tokenizer/tokenizer.json", str(tokenizer))
    (tmp_path / "models.toml").write_text(text)

    with (
        pytest.raises(NotStarted, match=r"(?s)worker-tiny-1 ended with status 1.*model tiny cannot be loaded"),
        stack(tmp_path / "stack", {"tiny": 1}, models_file=tmp_path / "models.toml"),
    ):
        pass


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_interrupted_leaves_nothing_running(tiny_models, tmp_path, how):
    command = python(
        "-m", "stack.demo", "--models-file", str(tiny_models), "--model", "tiny", "--out", str(tmp_path / "demo")
    )
    mark = str(tmp_path)
    with subprocess.Popen(
        command, env={**os.environ, "TMPDIR": mark}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as demo:
        try:
            demo.stdout.readline()
            assert eventually(lambda: _mentioning(mark))
            demo.send_signal(how)
            status = demo.wait(PATIENCE)
        finally:
            demo.kill()  # one that hangs: the block would wait for its end

    assert status != 0
    assert _mentioning(mark) == []
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("model", ["tiny", "scenes"])
def test_the_demo_leaves_everything_worth_looking_at(tiny_models, tmp_path, model):
    out = tmp_path / "demo"
    file = tiny_models if model == "tiny" else ROOT / "models.toml"
    arguments = ("--models-file", str(file), "--model", model, "--out", str(out))

    said = printed("stack.demo", *arguments, settings={"OMP_NUM_THREADS": "1"})

    job = json.loads((out / "job.json").read_text())
    assert job["status"] == "succeeded"
    assert sum(artifact["kind"] == "image" for artifact in job["artifacts"]) == 4
    assert all((out / artifact["name"]).stat().st_size == artifact["bytes"] for artifact in job["artifacts"])
    assert len({(out / f"{name}.png").read_bytes() for name in ("source", "edit-1", "edit-2", "edit-3")}) == 4
    words = [
        prompt.split() for prompt in (job["spec"]["source"]["prompt"], *(t["prompt"] for t in job["spec"]["targets"]))
    ]
    maps = [(a["picture"], a["word"]) for a in job["artifacts"] if a["kind"] == "heatmap"]
    assert maps == [(picture, word) for picture, prompt in enumerate(words) for word in prompt]
    assert (out / "sheet.png").is_file()
    assert str(out / "sheet.png") in said
    of_photo = json.loads((out / "photo" / "job.json").read_text())
    assert of_photo["reconstruction"]["inversion"] == "made"
    assert of_photo["reconstruction"]["psnr"] == of_photo["reconstruction"]["autoencoder_psnr"]
    sent, *edited = (
        Image.open(out / "photo" / f"{name}.png").convert("RGB") for name in ("photo", "source", "edit-1", "edit-2")
    )
    for picture in edited:
        assert picture.size == sent.size == (96, 64)
        assert picture.crop((0, 0, 16, 64)).tobytes() == sent.crop((0, 0, 16, 64)).tobytes()
        assert picture.tobytes() != sent.tobytes()
    assert (out / "photo" / "sheet.png").is_file()


def _mentioning(text: str) -> list[int]:
    """Processes other than demos that were started with a setting or an argument that mentions something."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file, open(f"/proc/{name}/cmdline", "rb") as command:
                started = command.read()
                if (text.encode() in file.read() or text.encode() in started) and b"stack.demo" not in started:
                    found.append(int(name))
        except OSError:
            continue
    return found
