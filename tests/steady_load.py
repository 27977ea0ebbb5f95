"""Edits that are posted one after another while processes come and go, and what became of each."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import redis

from jobs.model import JobStatus
from jobs.redis import keys
from tests.patience import ANSWER, PATIENCE, eventually
from tests.receiver import Receiver

#: Edits under way at most: more would wait for each other and show nothing else.
AT_ONCE = 6
ENDS = {str(status) for status in JobStatus if status.is_terminal}


@dataclass
class SteadyLoad:
    """A client in a thread of its own that posts to whatever API answers, each edit under an Idempotency-Key.

    Attributes:
        apis: the addresses that may be asked now.
        accepted: the ids of what was answered with 202, or 200 where an answer got lost.
    """

    apis: Callable[[], Sequence[str]]
    receiver: Receiver
    sampling: dict[str, object] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over, self._faults = threading.Event(), []
        self._thread = threading.Thread(target=self._post_on)

    def __enter__(self) -> "SteadyLoad":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        assert not self._faults, self._faults

    @property
    def told(self) -> set[str]:
        """The edits whose webhook has arrived."""
        return {name.rpartition("-")[0] for name in list(self.receiver.ids)}

    def goes_on(self, number: int = 2) -> None:
        """Wait until so many more edits have been told."""
        before = len(self.told)
        assert eventually(lambda: self._faults or len(self.told) >= before + number)
        assert not self._faults, self._faults

    def settled(self) -> bool:
        """Wait until each accepted edit has been told."""
        return eventually(lambda: set(self.accepted) <= self.told)

    def _post_on(self) -> None:
        number = 0
        while not self._over.wait(0.05):
            if len(self.accepted) - len(self.told) >= AT_ONCE:
                continue
            number += 1
            try:
                self.accepted.append(self._posted(number))
            except Exception as fault:
                self._faults.append(fault)
                return

    def _posted(self, number: int) -> str:
        """The id of an edit that was accepted; sent again to the next API where one does not answer."""
        body = edit(self.receiver.url, **self.sampling)
        answers: list[object] = []

        def sent() -> str | None:
            apis = self.apis()
            try:
                url = apis[(number + len(answers)) % len(apis)]
                headers = {"Idempotency-Key": f"edit-{number}"}
                response = httpx.post(f"{url}/v1/edits", json=body, headers=headers, timeout=ANSWER)
            except (httpx.TransportError, ZeroDivisionError) as gone:
                answers.append(gone)
                return None
            answers.append(response.text)
            return response.json()["id"] if response.status_code in (200, 202) else None

        found: list[str | None] = []
        assert eventually(lambda: found.append(sent()) or found[-1] or self._over.is_set()), answers[-3:]
        assert found[-1], answers[-3:]
        return found[-1]


def edit(webhook: str, **sampling: object) -> dict:
    """A small edit of the tiny model."""
    return {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
        "sampling": {"steps": 3, **sampling},
        "artifacts": {"heatmaps": False},
        "webhook": {"url": webhook},
    }


def verdict(load: SteadyLoad, api: str, redis_url: str) -> dict[str, int]:
    """How the accepted edits ended.

    Lost is one that did not succeed, that was not told, or whose pictures cannot be fetched; told otherwise one whose
    webhook came under more than one `webhook-id`.
    """
    names = Counter(name.rpartition("-")[0] for name in set(load.receiver.ids))
    counts = {"lost": 0, "ended_twice": 0, "told_otherwise": sum(number > 1 for number in names.values())}
    with (
        httpx.Client(timeout=ANSWER) as client,
        redis.Redis.from_url(redis_url, decode_responses=True, socket_timeout=PATIENCE) as records,
    ):
        for job_id in load.accepted:
            job = client.get(f"{api}/v1/edits/{job_id}").json()
            pictures = [client.get(each["url"]).is_success for each in job.get("artifacts", ())]
            whole = job.get("status") == "succeeded" and pictures and all(pictures) and job_id in names
            counts["lost"] += not whole
            events = records.xrange(keys.events(job_id))
            counts["ended_twice"] += sum(event["e"] in ENDS for _, event in events) != 1
    return counts


def told(receiver: Receiver) -> dict[str, set[str]]:
    """By each `webhook-id`, the edits that came under it."""
    by_name: dict[str, set[str]] = {}
    for request in receiver.got:
        by_name.setdefault(request.id, set()).add(json.loads(request.body)["data"]["id"])
    return by_name
