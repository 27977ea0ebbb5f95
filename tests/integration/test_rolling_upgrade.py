"""The version before this one and this one side by side, process by process, in both directions, under load."""

import signal
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from stack.redis_server import redis_server
from tests.installation import Installation
from tests.older import ROOT, older_tree
from tests.receiver import receiving
from tests.steady_load import SteadyLoad, told, verdict

#: As docs/operations.md has it: workers go first. So there is a time when all APIs are of the one version and all
#: workers of the other; on the way back, of the other and the one.
ORDER = ("worker", "api", "reaper", "outbox")
#: One of each kind is asked to end, the other one is killed.
SIGNALS = (signal.SIGTERM, signal.SIGKILL)


@pytest.fixture
def redis_of_its_own(tmp_path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    return older_tree(tmp_path_factory.mktemp("older"))


@pytest.mark.parametrize("back", [False, True], ids=["upgrade", "the way back"])
def test_an_upgrade_in_steps_under_load_loses_no_edit(tiny_models, redis_of_its_own, s3_url, older, tmp_path, back):
    before, after = (ROOT, older) if back else (older, ROOT)
    settings = {
        "REDIS_URL": redis_of_its_own,
        "STORAGE_URL": f"{s3_url}/{tmp_path.name}",
        "MODELS_FILE": str(tiny_models),
        "OMP_NUM_THREADS": "1",
        "SWEEP_INTERVAL": "0.5",
        "WEBHOOK_PRIVATE": "1",
    }
    with receiving() as receiver, Installation(tmp_path, settings) as installation:
        for kind in ORDER * len(SIGNALS):
            installation.start(kind, before)
        with SteadyLoad(lambda: [api.url for api in installation.of("api")], receiver) as load:
            load.goes_on()
            for kind in ORDER:
                for member, signum in zip(installation.of(kind), SIGNALS, strict=True):
                    installation.start(kind, after)
                    load.goes_on()
                    installation.end(member, signum)
                # All of this kind are of the one version now, all of the next kind of the other one.
                load.goes_on()
        assert load.settled()
        api = installation.of("api")[0].url

        assert verdict(load, api, redis_of_its_own) == {"lost": 0, "ended_twice": 0, "told_otherwise": 0}
        assert all(len(edits) == 1 for edits in told(receiver).values())


@pytest.mark.parametrize("newer_first", [True, False])
def test_a_retry_at_an_api_of_the_other_version_is_the_same_edit(
    tiny_models, redis_of_its_own, older, tmp_path, newer_first
):
    """A client whose answer got lost asks whichever API the balancer names."""
    settings = {
        "REDIS_URL": redis_of_its_own,
        "STORAGE_URL": str(tmp_path / "artifacts"),
        "MODELS_FILE": str(tiny_models),
    }
    with receiving() as receiver, Installation(tmp_path, settings | {"WEBHOOK_PRIVATE": "1"}) as installation:
        urls = [installation.start("api", tree).url for tree in ((ROOT, older) if newer_first else (older, ROOT))]
        turns = cycle(urls)
        load = SteadyLoad(lambda: [next(turns)], receiver)

        assert load._posted(1) == load._posted(1)
