"""What a client posts for an edit: a spec in an envelope."""

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from jobs.labels import labels_of
from jobs.model import EVENT_NAMES, EventName, Priority, Webhook
from p2p.spec import EditSpec, Part, counted
from process.addresses import MAX_CHARACTERS, UrlRefused, checked_url
from prompts.prompt_syntax import PromptSyntax, ReadPrompts, has_weights, read
from service.edits.submit import Asked
from service.http.labels import ABOUT_METADATA, ABOUT_SUBJECT, Metadata, Subject

EXAMPLE: JsonDict = {
    "source": {"prompt": "a cat on a beach"},
    "targets": [
        {"prompt": "a dog on a beach"},
        {"prompt": "a cat on a beach at night"},
    ],
    "sampling": {"seed": 7},
}


def callable_url(url: str) -> str:
    """A webhook's address as it is kept, or what is wrong with it, for pydantic."""
    try:
        return str(checked_url(url))
    except UrlRefused as error:
        raise PydanticCustomError(error.code, "{reason}", {"reason": str(error)}) from error


class WebhookRequest(Part):
    """Where the edit's end is sent."""

    url: Annotated[str, AfterValidator(callable_url)] = Field(
        description="https or http, with a public address; it is sent a POST.", max_length=MAX_CHARACTERS
    )
    events: Annotated[tuple[EventName, ...], *counted(1, len(EVENT_NAMES))] = Field(
        EVENT_NAMES, description="Which ends are sent; all where absent."
    )

    def to_webhook(self) -> Webhook:
        """As the record has it."""
        return Webhook(url=self.url, events=self.events)


#: What was read of prompts that are text.
_UNREAD = ReadPrompts()


def _unread() -> ReadPrompts:
    return _UNREAD


class EditRequest(EditSpec):
    """A source picture and the edits of it. What is absent takes the model's own default."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    webhook: WebhookRequest | None = Field(
        None, description="Gets the edit's end; where absent, the installation's own address."
    )
    priority: Priority = Field(
        "normal",
        description="A head start among the key's own edits, or the opposite. Whatever waits grows older all the same.",
    )
    start_within: Annotated[int, Field(ge=1, le=604_800)] | None = Field(
        None, description="Seconds: an edit that no worker has begun by then expires. At most what the service allows."
    )

    keep_for: Annotated[int, Field(ge=60, le=31_536_000)] | None = Field(
        None,
        description="Seconds for which the edit and what it leaves are kept after its end; the service's own time if "
        "absent. More than the service allows is refused.",
    )
    store: bool = Field(
        True,
        description="false keeps nothing for later: each artifact goes once it was downloaded, and all of the edit "
        "goes some minutes after its end, whichever is first. No inversion and no source is kept.",
    )
    subject: Subject | None = Field(None, description=ABOUT_SUBJECT)
    metadata: Metadata | None = Field(None, description=ABOUT_METADATA)

    prompt_syntax: PromptSyntax = Field(
        "text",
        description='"weights" reads `(word:1.2)`, `(word)` (1.1), `[word]` (1/1.1), nested ones too, out of the '
        "prompts. In targets they become `reweight` edits, and `edits` may then be left out; if the prompts differ, "
        "they become `weights`. Those of the source's prompt and of the negative prompt are left out, with a notice. "
        "`\\(` is a bracket. The answer's `spec` has the plain prompts and the edits.",
    )
    # By a factory: pydantic copies a default for every request, deeply, which took a tenth of a POST's time.
    _read: ReadPrompts = PrivateAttr(default_factory=_unread)

    @model_validator(mode="wrap")
    @classmethod
    def _weights_read(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(given, cls):
            return given  # checked before, by `service.http.bodies`: FastAPI asks once more, on the event loop
        if not has_weights(given):
            return handler(given)
        found = read(given)
        made = handler(found.body)
        if found.weighted:
            made._read = found
        return made

    def asked(self, traceparent: str) -> Asked:
        """What is to be made, and what concerns the job alone."""
        within = None if self.start_within is None else timedelta(seconds=self.start_within)
        return Asked(
            spec=self,
            priority=self.priority,
            start_within=within,
            traceparent=traceparent,
            read=self._read,
            webhook=None if self.webhook is None else self.webhook.to_webhook(),
            labels=labels_of(self.subject, self.metadata),
            keep_for=None if self.keep_for is None else timedelta(seconds=self.keep_for),
            store=self.store,
        )
