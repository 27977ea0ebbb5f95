"""What was accepted, how each edit ended, and which webhooks came."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from p2p_client import Client, Edit
from p2p_client.webhooks import Message, verify
from tests.patience import eventually
from tests.receiver import Received

SOURCE, TARGET = "a cat on a beach", "a dog on a beach"


@dataclass
class Tally:
    """Counts.

    Attributes:
        secret: signs the webhooks.
        messages: the webhooks that came with a good signature, by the id that each keeps when it is sent again.
        accepted: the ids of all edits that were answered with 202.
        ended: edits as they are shown once they have ended, by id.
        noted: further figures of the run.
    """

    secret: str
    messages: dict[str, Message] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    ended: dict[str, Edit] = field(default_factory=dict)
    noted: dict[str, object] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: Received) -> None:
        """Note a webhook that arrives; raises `NotVerified` if its signature is not good."""
        message = verify(request.headers, request.body, self.secret)
        self.messages[message.id] = message

    def post(self, client: Client, number: int, *, steps: int = 10) -> Sequence[str]:
        """Submit so many edits; gives their ids."""
        made = []
        for _ in range(number):
            with self._lock:
                seed = len(self.accepted) + len(made)
            sampling = {"seed": seed, "steps": steps}
            edit = client.submit({"source": {"prompt": SOURCE}, "targets": [{"prompt": TARGET}], "sampling": sampling})
            made.append(edit.id)
        with self._lock:
            self.accepted += made
        return made

    def await_ends(self, client: Client, ids: Sequence[str]) -> Sequence[Edit]:
        """Wait until each of these has ended; gives them as they are then."""
        ends = [client.wait(each) for each in ids]
        self.ended |= {edit.id: edit for edit in ends}
        return ends

    def webhooks(self) -> Mapping[str, int]:
        """How many webhooks there were about each edit, however often each of them was sent."""
        return Counter(message.data.id for message in list(self.messages.values()))

    def await_webhooks(self) -> None:
        """Wait until one has come about every edit that was accepted."""
        assert eventually(lambda: set(self.accepted) <= self.webhooks().keys()), (
            set(self.accepted) - self.webhooks().keys()
        )

    def summary(self) -> Mapping[str, object]:
        """One line of figures. `lost`: edits that were accepted and have no end, or no webhook."""
        webhooks = self.webhooks()
        lost = [each for each in self.accepted if each not in self.ended or each not in webhooks]
        return {
            "accepted": len(self.accepted),
            "ended": len(self.ended),
            "lost": len(lost),
            "webhooks": len(webhooks),
            "webhooks_twice": sum(count > 1 for count in webhooks.values()),
            **self.noted,
        }
