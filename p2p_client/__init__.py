"""A typed client of the edit service: `Client`, and `AsyncClient` with the same methods.

Theory of operation
    What a call does is written once, as a generator that knows no network: it yields what it wants done (`Send`,
    `NextChunk`, `Pause`, `Work`) and is given its result. Two small drivers do it, one blocking, one awaiting.

        operations, events, downloads --> asking (retries) --> effects (the two drivers) --> httpx
                                                |
                                                +--> results, errors: what a call gives

Needs httpx, pydantic, `p2p.spec` and, for `p2p_client.webhooks`, standardwebhooks; no torch.
"""

from p2p.version import VERSION as __version__
from p2p_client.alignments import Alignment
from p2p_client.client import AsyncClient, Client
from p2p_client.errors import (
    BadAnswer,
    ClientError,
    Conflict,
    FieldProblem,
    JobFailed,
    NotAllowed,
    NotEnded,
    NotFound,
    Refused,
    ServiceFault,
    ServiceProblem,
    TooBusy,
    Unreachable,
)
from p2p_client.results import Artifact, Batch, Edit, Event, Image, Inversion, Model

__all__ = [
    "Alignment",
    "Artifact",
    "AsyncClient",
    "BadAnswer",
    "Batch",
    "Client",
    "ClientError",
    "Conflict",
    "Edit",
    "Event",
    "FieldProblem",
    "Image",
    "Inversion",
    "JobFailed",
    "Model",
    "NotAllowed",
    "NotEnded",
    "NotFound",
    "Refused",
    "ServiceFault",
    "ServiceProblem",
    "TooBusy",
    "Unreachable",
    "__version__",
]
