"""Everything that can be asked of the service, each an operation that either driver runs."""

import json
import math
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

from pydantic import BaseModel

from p2p.spec import AligningKind, EditSpec, LoraUse, Sampling, Source
from p2p.spec import Inversion as HowInverted
from p2p_client.alignments import Alignment
from p2p_client.asking import Api, ask, parsed
from p2p_client.effects import Operation, Pause, Tell, Work
from p2p_client.errors import JobFailed, NotEnded
from p2p_client.results import (
    Batch,
    Edit,
    EditPage,
    Image,
    Inversion,
    InversionList,
    Model,
    ModelList,
    Receipt,
    Status,
)

#: Seconds that one request waits for an end: the service allows 60, and proxies often cut at 60.
LONG_POLL = 30
#: Seconds beside those that the answer may take.
_SLACK = 30.0

Body = Mapping[str, Any]
Target = str | tuple[str, AligningKind]


def submit(
    api: Api,
    spec: EditSpec | Body,
    *,
    id: str | None = None,
    idempotency_key: str | None = None,
    webhook: str | Body | None = None,
    priority: Literal["high", "normal", "low"] | None = None,
    start_within: int | None = None,
    prompt_syntax: Literal["text", "weights"] | None = None,
    keep_for: int | None = None,
    store: bool = True,
    subject: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Operation[Edit]:
    """Asks for an edit; `wait` for it, or follow its `events`.

    However often it has to be sent, it is made once.

    Args:
        spec: the edit, typed or as plain data.
        id: an id of your own; the same id again is the same edit.
        idempotency_key: the same for a name that is no id. Made for each call where neither is given.
        webhook: where its end is sent: a URL, or `{"url": ..., "events": [...]}`.
        priority: a head start among the key's own edits, or the opposite.
        start_within: seconds; an edit that no worker has begun by then expires.
        prompt_syntax: "weights" reads `(word:1.2)` out of the prompts of plain data; an `EditSpec` is checked before.
        keep_for: seconds for which it is kept after its end, in place of the service's own time.
        store: False keeps nothing for later: each artifact can be downloaded once, and the edit goes after minutes.
        subject: for whom it is made, by a pseudonym of yours; `erase_subject` erases all that was.
        metadata: texts of yours, to find it by.
    Raises:
        Refused: the edit cannot be made; `errors` point at its fields.
        TooBusy: the queue is full or the key's limits are reached, for longer than the client is patient.
    """
    body = _edit(
        spec,
        webhook=webhook,
        priority=priority,
        start_within=start_within,
        prompt_syntax=prompt_syntax,
        keep_for=keep_for,
        store=None if store else False,
        subject=subject,
        metadata=metadata,
    )
    if id is not None:
        return parsed(Edit, (yield from ask(api, "PUT", at("edits", id), json=body)))
    return parsed(Edit, (yield from _created(api, "/v1/edits", body, idempotency_key)))


def get(api: Api, edit: Edit | str) -> Operation[Edit]:
    """An edit as it stands."""
    return parsed(Edit, (yield from ask(api, "GET", at("edits", edit))))


def wait(api: Api, edit: Edit | str, timeout: float | None = None) -> Operation[Edit]:
    """Waits until an edit has succeeded, and gives it; the service answers once it has ended, nothing is polled.

    Args:
        timeout: seconds, for as long as it takes where absent.
    Raises:
        JobFailed: it has ended otherwise.
        NotEnded: it goes on after so many seconds; it is a `TimeoutError`.
    """
    ended: Edit = yield from _awaited(api, Edit, at("edits", edit), timeout)
    if ended.status != "succeeded":
        raise JobFailed(ended) if ended.has_ended else NotEnded(ended, timeout or 0)
    return ended


def cancel(api: Api, edit: Edit | str) -> Operation[Edit]:
    """Cancels an edit: a waiting one at once, a running one before its next step."""
    return parsed(Edit, (yield from ask(api, "POST", at("edits", edit, "/cancel"))))


def erase(api: Api, edit: Edit | str) -> Operation[None]:
    """Erases an edit that has ended, and all that it left.

    Where the connection is lost this raises `Unreachable`: sent again, it would not find what it has just erased.
    """
    yield from ask(api, "DELETE", at("edits", edit), repeatable=False)


def erase_subject(api: Api, subject: str) -> Operation[Receipt]:
    """Erases all that was made for a subject. While the receipt says that some remain, they run still: ask again."""
    return parsed(Receipt, (yield from ask(api, "DELETE", at("subjects", subject))))


def list_edits(
    api: Api,
    *,
    status: Status | None = None,
    subject: str | None = None,
    metadata: Mapping[str, str] | None = None,
    page_size: int = 100,
) -> Operation[None]:
    """Tells the key's edits, the newest first, fetching page after page as they are wanted.

    Args:
        subject, metadata: only those that are made for the subject, and that say all of this.
    """
    query: dict[str, Any] = {"limit": page_size} | _given(status=status, subject=subject)
    query |= _given(metadata=[f"{name}={text}" for name, text in (metadata or {}).items()] or None)
    while True:
        page = parsed(EditPage, (yield from ask(api, "GET", "/v1/edits", params=query)))
        for edit in page.edits:
            yield Tell(edit)
        if page.cursor is None:
            return
        query["cursor"] = page.cursor


def submit_batch(
    api: Api,
    specs: Sequence[EditSpec | Body],
    *,
    idempotency_key: str | None = None,
    webhook: str | Body | None = None,
    subject: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Operation[Batch]:
    """Asks for several edits, which are accepted together or not at all; the webhook is sent once all have ended."""
    body = {"edits": [_edit(spec) for spec in specs]} | _given(
        webhook=_webhook(webhook), subject=subject, metadata=metadata
    )
    return parsed(Batch, (yield from _created(api, "/v1/batches", body, idempotency_key)))


def wait_batch(api: Api, batch: Batch | str, timeout: float | None = None) -> Operation[Batch]:
    """Waits until all edits of a batch have ended, or so many seconds, and gives it as it stands."""
    return (yield from _awaited(api, Batch, at("batches", batch), timeout))


def cancel_batch(api: Api, batch: Batch | str) -> Operation[Batch]:
    """Cancels what has not ended of a batch."""
    return parsed(Batch, (yield from ask(api, "POST", at("batches", batch, "/cancel"))))


def upload(
    api: Api,
    picture: str | Path | bytes,
    *,
    name: str = "picture",
    subject: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Operation[Image]:
    """Sends a photo (PNG, JPEG, WebP, AVIF or HEIC), by its path or as its bytes; its `id` goes into an edit's source.

    Raises:
        Refused: it cannot be read, or is larger than the service reads.
        Unreachable: also where the connection was lost on the way: sent again, it might be kept twice.
    """
    content = picture
    if not isinstance(picture, bytes):
        name = Path(picture).name
        content = yield Work(Path(picture).read_bytes)
    files: dict[str, Any] = {"image": (name, content, mimetypes.guess_type(name)[0] or "application/octet-stream")}
    texts = _given(subject=subject, metadata=None if metadata is None else json.dumps(dict(metadata)))
    files |= {field: (None, text) for field, text in texts.items()}
    return parsed(Image, (yield from ask(api, "POST", "/v1/images", repeatable=False, files=files)))


def invert(
    api: Api,
    source: Source | Body,
    *,
    model: str | None = None,
    inversion: HowInverted | Body | None = None,
    sampling: Sampling | Body | None = None,
    loras: Sequence[LoraUse | Body] | None = None,
    idempotency_key: str | None = None,
) -> Operation[Edit]:
    """Inverts a photo ahead of its edits: an edit without targets, which tells how faithful the inversion is.

    Name the LoRAs of those edits: one with others inverts the photo anew.
    """
    asked = None if loras is None else [_plain(each) for each in loras]
    body = _given(
        model=model, source=_plain(source), inversion=_plain(inversion), sampling=_plain(sampling), loras=asked
    )
    return parsed(Edit, (yield from _created(api, "/v1/inversions", body, idempotency_key)))


def inversions(api: Api) -> Operation[tuple[Inversion, ...]]:
    """The key's inversions that are kept."""
    return parsed(InversionList, (yield from ask(api, "GET", "/v1/inversions"))).inversions


def models(api: Api) -> Operation[tuple[Model, ...]]:
    """The models of this installation: their sizes, limits and defaults."""
    return parsed(ModelList, (yield from ask(api, "GET", "/v1/models"))).models


def align(api: Api, source: str, *targets: Target, model: str | None = None) -> Operation[Alignment]:
    """Sets the words of edited prompts against those of their source, as an edit of them would.

    Args:
        targets: prompts, or pairs of a prompt and the edit's kind, which is chosen by the words where absent.
    """
    pairs = [(target, None) if isinstance(target, str) else target for target in targets]
    asked = [_given(prompt=prompt, kind=kind) for prompt, kind in pairs]
    body = _given(model=model, source={"prompt": source}, targets=asked)
    return parsed(Alignment, (yield from ask(api, "POST", "/v1/alignments", json=body)))


def _awaited(api: Api, kind: type[Any], path: str, timeout: float | None) -> Operation[Any]:
    """What has ended, or as it stands once the time is over."""
    began = api.clock()
    until = math.inf if timeout is None else began + timeout
    while True:
        asked_at = api.clock()
        left = max(0.0, until - asked_at)
        seconds = math.ceil(min(LONG_POLL, left))
        patient = replace(api, patience=min(api.patience, left))
        answer = yield from ask(patient, "GET", path, params={"wait": seconds}, read_timeout=seconds + _SLACK)
        standing = parsed(kind, answer)
        if standing.has_ended or api.clock() >= until:
            return standing
        if api.clock() - asked_at < seconds / 2:
            # It did not wait, whatever is in between: to ask again at once would be a busy loop.
            yield Pause(min(1.0, max(0.0, until - api.clock())))


def _created(api: Api, path: str, body: Body, key: str | None) -> Operation[Any]:
    """The answer to what makes something: sent as often as it takes, made once."""
    return (yield from ask(api, "POST", path, headers={"Idempotency-Key": key or uuid4().hex}, json=body))


def _edit(spec: EditSpec | Body, *, webhook: str | Body | None = None, **further: Any) -> dict[str, Any]:
    return {**_plain(spec), **_given(webhook=_webhook(webhook), **further)}


def _webhook(webhook: str | Body | None) -> Body | None:
    return {"url": webhook} if isinstance(webhook, str) else webhook


def _plain(part: BaseModel | Body | None) -> Any:
    # Not `exclude_unset`: an edit's `kind` is set by its class alone.
    return part.model_dump(mode="json", exclude_none=True) if isinstance(part, BaseModel) else part


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def at(folder: str, thing: Edit | Batch | str, rest: str = "") -> str:
    """The path of a thing, or of what lies below it."""
    name = thing if isinstance(thing, str) else thing.id
    return f"/v1/{folder}/{quote(name, safe='')}{rest}"
