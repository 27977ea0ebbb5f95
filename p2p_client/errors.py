"""What may go wrong, by who is at fault.

ClientError
├── Unreachable         nobody's answer came: the network, or a service that is down
├── BadAnswer           an answer that is none of this service's: another server stands at the address
├── ServiceProblem      a problem document (RFC 9457): `code` is stable, `errors` point at fields
│   ├── Refused         you: what was asked cannot be done
│   │   ├── NotAllowed  the key is missing, wrong, or not for this
│   │   ├── NotFound    there is no such thing, or it is another key's
│   │   └── Conflict    not in the state that it is in
│   ├── TooBusy         nobody: it passes, and `retry_after` says when
│   └── ServiceFault    the service
├── JobFailed           the edit has ended otherwise than well; `code` says how
└── NotEnded            the edit goes on, and the time given to `wait` is over
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2p_client.results import Edit


class ClientError(Exception):
    """Base of the tree above."""


class Unreachable(ClientError):
    """No answer came; `__cause__` is httpx's error."""


class BadAnswer(ClientError):
    """The answer is none of this service's."""


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field.

    Attributes:
        pointer: a JSON pointer (RFC 6901) into what was sent.
        code: stable; `p2p_client.codes.FieldCode` lists those of this version.
        detail: what was given, what was needed, what to do.
    """

    pointer: str
    code: str
    detail: str


class ServiceProblem(ClientError):
    """The service says no.

    Attributes:
        status: of HTTP.
        code: stable; what a program looks at. `p2p_client.codes.AnswerCode` lists those of this version.
        detail: for people.
        errors: what is wrong with which field.
        retry_after: seconds after which it may be asked again, where the service says so.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.code: str = str(problem.get("code", "unknown"))
        self.detail: str = str(problem.get("detail", ""))
        self.errors: Sequence[FieldProblem] = tuple(
            FieldProblem(each.get("pointer", ""), each.get("code", ""), each.get("detail", ""))
            for each in problem.get("errors") or ()
        )
        self.retry_after = retry_after
        lines = [f"{status} {self.code}: {self.detail}", *(f"  {each.pointer}: {each.detail}" for each in self.errors)]
        super().__init__("\n".join(lines))


class Refused(ServiceProblem):
    """What was asked cannot be done: asking again changes nothing."""


class NotAllowed(Refused):
    """The key is missing, unknown or not for this; or the address of an artifact is over."""


class NotFound(Refused):
    """There is no such thing, or it is another key's."""


class Conflict(Refused):
    """What is asked for does not go with the state that the edit is in."""


class TooBusy(ServiceProblem):
    """The service takes no more for now: it passes."""


class ServiceFault(ServiceProblem):
    """Something failed in the service."""


class JobFailed(ClientError):
    """An edit that has ended otherwise than well.

    Attributes:
        edit: as it ended.
        code: the job's error code if it failed (`p2p_client.codes.FailureCode`); else "canceled" or "expired".
    """

    def __init__(self, edit: "Edit") -> None:
        self.edit = edit
        self.code: str = edit.error.code if edit.error else edit.status
        why = f": {edit.error.code}: {edit.error.message}" if edit.error else ""
        super().__init__(f"the edit {edit.id} is {edit.status}{why}")


class NotEnded(ClientError, TimeoutError):
    """The edit goes on: it was not waited for any longer.

    Attributes:
        edit: as it stands.
    """

    def __init__(self, edit: "Edit", seconds: float) -> None:
        self.edit = edit
        super().__init__(f"the edit {edit.id} is {edit.status} after {seconds:g} s: wait longer, or cancel it")


#: The others of 400 to 499 are `Refused`, and those from 500 on `ServiceFault`.
BY_STATUS: Mapping[int, type[ServiceProblem]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    429: TooBusy,
    503: TooBusy,
}


def error_of(status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> ServiceProblem:
    """The error that a problem document stands for."""
    kind = BY_STATUS.get(status, Refused if status < 500 else ServiceFault)
    return kind(status, problem, retry_after)
