"""The chart's secrets: in no manifest, mounted where they are read, made by the command of its README."""

import re
import subprocess
from functools import cache

import pytest
import yaml

from process.settings import SECRETS_DIR, settings_or_exit
from tests.chart import GIVEN, PROGRAMS, README, made, manifests, of_kind, only_container, pod_of, variables
from tests.contract.test_deployment import FIRST_KEY
from tools.settings_table import READERS


@pytest.mark.parametrize("values", GIVEN)
def test_no_secret_stands_in_a_manifest(values):
    assert of_kind(made(values), "Secret") == []
    assert re.findall(r"://[^\s/]*:[^\s/]*@", str(made(values))) == []


def test_every_program_reads_the_two_addresses_and_the_outbox_what_signs():
    for each in of_kind(made("everything"), "Deployment", "Job"):
        container = only_container(each)
        (volume,) = (volume for volume in pod_of(each)["spec"]["volumes"] if volume["name"] == "secrets")
        sources = [source["secret"] for source in volume["projected"]["sources"]]
        files = {item["path"] for source in sources for item in source["items"]}

        assert {source["name"] for source in sources} == {"p2p-edit"}
        signs = {"WEBHOOK_SECRET"} if container["name"] == "outbox" else set()
        assert files == {"REDIS_URL", "STORAGE_URL", "redis-ca.crt"} | signs
        assert variables(container)[SECRETS_DIR] == "/secrets"
        # A Secret without one of the addresses keeps the pod from starting, and says so.
        assert [source.get("optional", False) for source in sources] == [False, True][: len(sources)]


def test_every_program_reads_its_secrets_from_the_files_that_are_mounted(tmp_path, monkeypatch):
    """Laid as Kubernetes lays them: each file is a link into a folder that is exchanged as a whole."""
    given = {"REDIS_URL": "redis://:password@redis:6379/0", "STORAGE_URL": "s3://bucket", "WEBHOOK_SECRET": ""}
    for each in of_kind(made("everything"), "Deployment"):
        container = only_container(each)
        folder = tmp_path / each["metadata"]["name"]
        (folder / "..2026").mkdir(parents=True)
        (folder / "..data").symlink_to("..2026")
        (volume,) = (volume for volume in pod_of(each)["spec"]["volumes"] if volume["name"] == "secrets")
        for item in (item for source in volume["projected"]["sources"] for item in source["secret"]["items"]):
            (folder / "..2026" / item["path"]).write_text(given.get(item["path"], "x"))
            (folder / item["path"]).symlink_to(f"..data/{item['path']}")
        monkeypatch.setenv(SECRETS_DIR, str(folder))
        settings = settings_or_exit(READERS[PROGRAMS[container["name"]]])
        assert (settings.redis_url, settings.storage_url) == (given["REDIS_URL"], given["STORAGE_URL"])


@cache
def documented_secrets() -> dict[str, dict]:
    """What the command of README.md makes, with a random number that is known."""
    (command,) = (block for block in re.findall(r"```sh\n(.*?)```", README, re.S) if "kind: Secret" in block)
    made = command.replace("kubectl -n pictures create -f -", "cat").replace("openssl rand -hex 16", "echo 0123abcd")
    shown = subprocess.run(["bash", "-c", made], capture_output=True, text=True, check=True).stdout
    return {each["metadata"]["name"]: each["stringData"] for each in yaml.safe_load_all(shown)}


def test_the_command_of_the_readme_makes_what_the_try_out_reads():
    secrets = documented_secrets()
    (redis,) = of_kind(made("try out"), "StatefulSet")
    (service,) = (each for each in of_kind(made("try out"), "Service") if each["metadata"]["name"].endswith("-redis"))
    (volume,) = pod_of(redis)["spec"]["volumes"]

    assert secrets["p2p-edit-redis"] == {"password": "0123abcd", "redis.conf": "requirepass 0123abcd"}
    assert volume["secret"]["secretName"] == "p2p-edit-redis"
    assert {item["key"] for item in volume["secret"]["items"]} == {"redis.conf"}
    assert secrets["p2p-edit"]["REDIS_URL"] == f"redis://:0123abcd@{service['metadata']['name']}:6379/0"
    assert {"REDIS_URL", "STORAGE_URL", "WEBHOOK_SECRET"} == set(secrets["p2p-edit"])


def test_the_key_of_the_readme_is_one_that_the_job_takes():
    from service.api_keys import _FORM

    assert _FORM.fullmatch(documented_secrets()["p2p-edit-first-key"]["key"])
    (job,) = of_kind(manifests({"firstKey": {"secret": "p2p-edit-first-key"}}), "Job")
    container = only_container(job)
    assert tuple(container["command"][1:]) == (*FIRST_KEY, "--token-file", "/first-key/key")
    assert {"name": "first-key", "mountPath": "/first-key", "readOnly": True} in container["volumeMounts"]


def test_a_job_that_prints_the_key_is_kept_and_one_that_reads_it_is_run_at_every_upgrade():
    def hook(values: dict) -> str:
        (job,) = of_kind(manifests(values), "Job")
        return job["metadata"]["annotations"]["helm.sh/hook"]

    assert hook({}) == "post-install"
    assert hook({"firstKey": {"secret": "first"}}) == "post-install,post-upgrade"
    assert of_kind(manifests({"firstKey": {"enabled": False}}), "Job") == []
