"""docker-compose.yml, run for real: `make compose-test`, one test after the other, over one deployment.

Whatever is killed, restarted or taken down, each edit that was accepted ends once, and sends one webhook.
"""

import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from p2p.version import VERSION
from p2p_client import Client
from tests.compose.deployment import TOKEN, URL, Deployment, taken_ports
from tests.patience import ANSWER, eventually

WORKERS = 3
#: Megabytes of each image over its base, at most.
SIZES = {"service": 130, "worker": 1300}
#: Within an image: folders of tests among the packages, torch's test programs, and what pip keeps.
LEFTOVERS = """
import pathlib, site
packages = pathlib.Path(site.getsitepackages()[0])
named = [path for path in packages.rglob("test*") if path.name in ("test", "tests") and path.is_dir()]
found = [path for path in named if not path.relative_to(packages).parts[0].endswith(".dist-info")]
found += packages.glob("torch/bin/*[tT]est*")
found += [path for path in map(pathlib.Path, ("/root/.cache", "/home/p2p/.cache", "tests", "docs")) if path.exists()]
print(*found)
"""


def image(target: str) -> str:
    return f"p2p-edit-{target}:{VERSION}"


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[Client]:
    """All of it is up; a client with the key that stands in the logs."""
    deployment.up(workers=WORKERS)
    tokens = TOKEN.findall(deployment.logs("first-key"))
    assert len(tokens) == 1
    with deployment.client(tokens[0]) as client:
        yield client


@pytest.mark.parametrize("target", SIZES)
def test_an_image_is_little_more_than_what_it_needs(target, deployment, tally):
    over = (deployment.engine.size(image(target)) - deployment.engine.size(deployment.engine.base)) / 1e6
    tally.noted[f"{target}_mb_over_base"] = round(over)

    assert over <= SIZES[target]
    inside = ("run", "--rm", "--network=none", "--user=0", "--entrypoint=python", image(target))
    assert deployment.engine(*inside, "-c", LEFTOVERS).split() == []


@pytest.mark.parametrize("target", SIZES)
def test_an_image_says_what_it_was_built_from_and_holds_the_licences(target, deployment):
    (inspected,) = json.loads(deployment.engine("image", "inspect", image(target)))
    labels = {name.rpartition(".")[2]: text for name, text in inspected["Config"]["Labels"].items()}
    inside = ("run", "--rm", "--network=none", "--entrypoint=cat", image(target))

    assert (labels["version"], labels["licenses"]) == (VERSION, "Apache-2.0")
    assert labels["revision"] == deployment.engine.environment.get("REVISION", "unknown")
    assert labels["source"] == deployment.engine.environment.get("SOURCE", "unknown")
    assert "Apache License" in deployment.engine(*inside, "LICENSE")
    assert "fastapi" in deployment.engine(*inside, "THIRD_PARTY_NOTICES.md")


def test_pictures_are_fetched_from_the_host_by_their_signed_urls(client, tally):
    (edit,) = tally.await_ends(client, tally.post(client, 1))

    pictures = [artifact for artifact in edit.artifacts if artifact.kind == "image"]
    assert len(pictures) == 2
    for artifact in edit.artifacts:
        fetched = httpx.get(artifact.url, timeout=ANSWER)
        assert (fetched.status_code, len(fetched.content)) == (200, artifact.bytes)
    assert httpx.get(pictures[0].url, timeout=ANSWER).content.startswith(b"\x89PNG")
    # The storage shows nothing to somebody without a signature, and the API nothing without a key.
    assert httpx.get(pictures[0].url.partition("?")[0], timeout=ANSWER).is_client_error
    assert httpx.get(f"{URL}/v1/edits/{edit.id}", timeout=ANSWER).status_code == 401


def test_a_webhook_reaches_a_receiver_on_the_host_and_its_signature_is_good(client, tally):
    tally.await_webhooks()

    assert tally.webhooks() == dict.fromkeys(tally.accepted, 1)


def test_every_part_is_found_healthy(client, deployment):
    checked = ("api", "redis", "storage", "reaper", "outbox", "worker")

    def states() -> list[str]:
        inspected = [deployment.inspected(each)["State"] for name in checked for each in deployment.containers(name)]
        return [state.get("Health", state.get("Healthcheck"))["Status"] for state in inspected]

    assert eventually(lambda: states() == ["healthy"] * (len(checked) - 1 + WORKERS)), states()


def test_the_jobs_of_a_worker_that_is_killed_are_done_by_others(client, deployment, tally):
    posted = tally.post(client, WORKERS, steps=100)
    assert eventually(lambda: any(client.get(each).progress for each in posted))

    victim = deployment.busy_worker()
    deployment.kill(victim)

    ends = tally.await_ends(client, posted)
    assert sum(edit.attempt for edit in ends) == len(posted) + 1
    assert eventually(lambda: deployment.inspected(victim)["State"]["Running"])  # `restart` brought it back


def test_redis_may_restart_under_load(client, deployment, tally):
    before = tally.post(client, WORKERS + 1)
    meanwhile: list[str] = []
    posting = threading.Thread(target=lambda: meanwhile.extend(tally.post(client, WORKERS + 1)))

    posting.start()
    deployment.compose("restart", "redis")
    posting.join()

    ends = tally.await_ends(client, [*before, *meanwhile])
    assert len(ends) == 2 * (WORKERS + 1)


@pytest.fixture(scope="module")
def taken_down(client, deployment, tally):
    """Posts edits, and takes all of it down while each worker has one: the edits, and how the workers ended."""
    workers = deployment.containers("worker")
    posted = tally.post(client, WORKERS + 2, steps=40)
    assert eventually(lambda: sum(client.get(each).status == "running" for each in posted) == WORKERS)
    codes = deployment.exit_codes(workers)
    tally.noted["down_s"] = round(deployment.down(), 1)
    return posted, codes.all()


def test_down_lets_every_worker_finish_its_job_or_give_it_back(taken_down):
    _, codes = taken_down

    # 137 would be a worker that waited for a storage that had been stopped before it.
    assert codes == [0] * WORKERS


def test_down_leaves_no_container_and_no_port(taken_down, deployment):
    assert deployment.containers() == []
    assert taken_ports() == []


def test_after_the_next_up_all_that_was_accepted_has_ended_once(taken_down, client, deployment, tally):
    posted, _ = taken_down

    deployment.up(workers=WORKERS)

    # The key of before is good still, and what was given back has spent no attempt.
    assert {edit.attempt for edit in tally.await_ends(client, posted)} == {1}
    tally.await_webhooks()
    assert tally.ended.keys() == set(tally.accepted)
    assert {edit.status for edit in tally.ended.values()} == {"succeeded"}
    assert tally.webhooks() == dict.fromkeys(tally.accepted, 1)


def test_the_log_says_how_to_make_another_key(taken_down, client, deployment):
    said = deployment.logs("first-key")
    assert TOKEN.search(said) is None
    assert "python -m admin keys create NAME" in said

    token = deployment.admin("keys", "create", "another").strip()

    with deployment.client(token) as another:
        assert [edit.id for edit in another.list()] == []
