"""The API as a process of its own, without workers: for what it answers and takes by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx

from stack.ports import free_port
from stack.processes import python, running
from tests.patience import ANSWER, eventually


@contextmanager
def api_process(folder: Path, redis_url: str, models: Path, **settings: object) -> Iterator[SimpleNamespace]:
    """Starts it on a free port, and goes on once it answers; gives its `process`, `url` and `port`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "REDIS_URL": redis_url,
        "MODELS_FILE": str(models),
        "STORAGE_URL": str(folder / "artifacts"),
        "PORT": str(port),
        "PUBLIC_URL": url,
        **{name: str(value) for name, value in settings.items()},
    }
    with (
        running("api", python("-m", "service"), folder / "api.log", environment) as process,
        httpx.Client(base_url=url, timeout=ANSWER) as client,
    ):
        assert eventually(lambda: _answers(client)), "the API did not come up"
        yield SimpleNamespace(process=process, url=url, port=port)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").is_success
    except httpx.HTTPError:
        return False


def sent(client: httpx.Client, data: bytes) -> httpx.Response:
    """The answer to a picture that is sent."""
    return client.post("/v1/images", files={"image": ("photo.png", data, "image/png")})
