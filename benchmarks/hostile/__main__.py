"""`python -m benchmarks.hostile`: how long one request can hold the API's event loop.

{"worst_ms", "inputs"}. The API serves on a real Redis, in a process of its own, and is sent a generated corpus
(`corpus.py`, from a seed): prompts, names, windows, masks, mistakes, JSON, forms, headers, ids and queries, each as
large as it may be. `worst_ms` is the longest time that the loop was held while one of them was worked on, in processor
time (`watch.py`), so that what else runs on the machine does not matter. What holds it for longer than half of the
bound is sent three times, and the least counts: the same request takes the same work. The bound is 50.
"""

import argparse
import http.client
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.hostile.corpus import LARGEST, Request, corpus
from stack.ports import free_port
from stack.processes import python, running
from stack.redis_server import redis_server

#: Requests of each run.
FULL, QUICK = 2_040, 102
SEED = 20_261_126
#: Milliseconds beyond which a request is sent again, and how often in all.
SUSPECT, TIMES = 25.0, 3
#: Seconds that one answer may take.
PATIENCE = 120


class Api:
    """A connection to the watched API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, request: Request) -> int:
        """The status that a request is answered with; 0 where the connection is closed."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.putrequest(request.method, request.path, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (ConnectionError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def held(self) -> float:
        """Milliseconds for which the loop was held at most since this was asked last."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request("GET", "/held")
            return float(connection.getresponse().read())
        finally:
            connection.close()

    def cost(self, request: Request) -> tuple[float, int]:
        """Milliseconds that a request holds the loop, and the status it is answered with."""
        self.held()
        least, status = float("inf"), 0
        for _ in range(TIMES):
            status = self.ask(request)
            least = min(least, self.held())
            if least < SUSPECT:
                break
        return least, status


def wait_for(api: Api) -> None:
    """Returns once the API answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            api.held()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer requests; under a minute")
    parser.add_argument("--seed", type=int, default=SEED, help="of the corpus")
    parser.add_argument("--inputs", type=int, help="how many requests")
    parser.add_argument("--tell", action="store_true", help="tell each request's cost on standard error")
    given = parser.parse_args()
    number, worst = given.inputs or (QUICK if given.quick else FULL), 0.0
    with tempfile.TemporaryDirectory(prefix="hostile-") as place, redis_server(Path(place)) as redis_url:
        port = free_port()
        settings = {
            "PORT": str(port),
            "REDIS_URL": redis_url,
            "STORAGE_URL": f"{place}/artifacts",
            "MAX_BODY_BYTES": str(LARGEST),
            "BACKLOG": "1000000",
            "IMAGE_URLS": "1",
        }
        with running("api", python("-m", "benchmarks.hostile.server"), Path(place) / "api.log", settings):
            api = Api(port)
            wait_for(api)
            for request in corpus(given.seed, number):
                cost, status = api.cost(request)
                worst = max(worst, cost)
                if given.tell:
                    print(f"{cost:8.2f} {status} {request.kind}: {request.body[:60]!r}", file=sys.stderr, flush=True)
    print(json.dumps({"worst_ms": round(worst, 2), "inputs": number}))


if __name__ == "__main__":
    main()
