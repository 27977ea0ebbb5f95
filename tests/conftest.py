"""What several folders of tests share: a tiny model on disk, and a models file that names it."""

import os
from collections.abc import Iterator
from pathlib import Path

# Before torch is loaded: tiny models gain nothing from threads, and threads that spin while they wait take the cores
# from the processes under test (two runs of six steps took 20 s instead of a quarter of a second).
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import hypothesis
import pytest
import redis
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from stack.redis_server import redis_server
from tests import forked, tiny

_DECLARATION = """
[[models]]
id = "{id}"
description = "Random weights, real classes."
path = "model"
family = "stable_diffusion"
tokenizer = "{tokenizer}"
max_tokens = 24
sizes = [[32, 32]]
defaults = {{ steps = 3, guidance_scale = 3.0 }}
limits = {{ max_steps = 400, max_targets = 3 }}
"""


# By default an example may take 200 ms, and drawing them a second: a busy machine is no fault of the code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

#: Folders whose files take minutes. Workers of xdist take a file at a time, in this order
#: (`--no-loadscope-reorder`: else those of many tests go first, and what is long runs at the end, beside an idle core).
LONGEST = ("tests/parity/", "tests/unit/worker/", "tests/integration/", "tests/browser/", "tests/unit/p2p/")


def pytest_configure() -> None:
    """Processes of ours that tests start do not import their libraries again."""
    forked.install()


def pytest_unconfigure() -> None:
    """Leaves no process behind."""
    forked.remove()


@pytest.fixture
def as_users_start_it() -> Iterator[None]:
    """What the test starts is started as users start it, each process with all that it imports."""
    with forked.paused():
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the longest files first where several workers share the tests; the others stay as they are."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(item.nodeid))


def _place(name: str) -> int:
    """In which of the folders above a test is; behind the last in none of them."""
    return next((place for place, folder in enumerate(LONGEST) if name.startswith(folder)), len(LONGEST))


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models file with three names for one tiny model made here.

    "tiny-too" is declared with another tokenizer, which counts words: what the API then lets through fails in the
    worker.
    """
    folder = tmp_path_factory.mktemp("models")
    tiny.save(folder / "model")
    file = folder / "models.toml"
    words = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = WhitespaceSplit()
    words.save(str(folder / "words.json"))
    own = "model/tokenizer/tokenizer.json"
    tokenizers = {"tiny": own, "tiny-too": "words.json", "tiny-third": own}
    file.write_text("".join(_DECLARATION.format(id=name, tokenizer=path) for name, path in tokenizers.items()))
    return file


@pytest.fixture(scope="session")
def redis_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis; where none can start, tests fail and say what to install."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="module")
def redis_url(redis_of_session: str) -> str:
    """A real Redis, empty when a file's tests begin: keys that another file has left would close an API's door."""
    with redis.Redis.from_url(redis_of_session) as client:
        client.flushall()
    return redis_of_session


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client that decodes, as the job store wants it."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client
