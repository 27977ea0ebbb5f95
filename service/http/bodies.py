"""Bodies as they are read before any field is looked at: what is no JSON, or no form with a file, is said so.

FastAPI calls whatever Python's reader does not take "not JSON", whether it is compressed, in UTF-16, or JSON with a
number of 5,000 digits. So bodies are read here, under limits that are said, and FastAPI is given what was read: the
route's own model, which it takes as it is. A large body is read in a thread, in its owner's turn
(`layers.computing`).
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from email.message import Message
from functools import lru_cache
from typing import Any, cast, get_origin

from fastapi import Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from jobs.model import ANYBODY
from layers.body_errors import (
    EmptyBody,
    JsonLimit,
    NotAFile,
    NotJson,
    NotUtf8,
    TooManyParts,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from layers.computing import SMALL
from layers.request_headers import header_of
from p2p.words import ReadOnce, forget_prompts
from service.http.body_models import BodyModel
from service.http.dependencies import caller_of_request
from service.http.keyed import Answering, key_first
from service.http.leaving import not_begun_once_gone
from service.plane import Plane

#: An edit nests eight deep. Python's reader and pydantic's end at about 1,000 and at 200, wherever they stand.
MAX_DEPTH = 100
#: The largest number that any field takes has 16 digits; Python reads 4,300 of a whole number, by default.
MAX_DIGITS = 1_000
#: Parts of a form with a file, and as many without, before it is known what they are called.
MAX_PARTS = 100

#: A string, or what begins as one and has no end: so every character is looked at once, whatever was sent.
_STRING = re.compile(r'"(?:[^"\\]+|\\.)*"?', re.DOTALL)
#: How the first four bytes of JSON look in UTF-16 and UTF-32: it begins with an ASCII character.
_WIDE = re.compile(rb"\xff\xfe|\xfe\xff|\x00|.\x00", re.DOTALL)
#: Characters of a query. The longest has a cursor of 200 and two numbers.
MAX_QUERY = 4_096
#: Python's reader of parameters takes time with the square of their length.
MAX_CONTENT_TYPE = 256
#: Of two parts with one name nobody knows which counts.
REPEATED = "this came more than once: send it once"
UNKNOWN = "this address takes nothing of this name: remove it, or correct the name"
#: Says to the router before several cells where a request goes; the cell is sent it, too.
OF_ROUTER = "cell"
_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii"})


class JsonRoute(APIRoute):
    """A route whose body, if it has one, is JSON; the key comes first where it needs one."""

    def calling(self) -> Answering:
        """How its function is called: by FastAPI."""
        return super().get_route_handler()

    def get_route_handler(self) -> Answering:
        """As its function answers, with the body read here."""
        answered = self.calling()
        if self.body_field is None:
            return _of_short_query(self, answered)
        (field,) = self.dependant.body_params
        model = BodyModel(cast(type[BaseModel], field.field_info.annotation))

        async def handled(request: Request) -> Response:
            refuse_encoded(request)
            # Where Starlette keeps what `request.body()` and `request.json()` gave.
            request._body = body = await whole_body(request.receive)
            not_begun_once_gone(request.receive)
            with ReadOnce():
                request._json = await _read(request, body, model)
                return await answered(request)

        return key_first(self, handled)


class FileRoute(APIRoute):
    """A route whose body, if it has one, is a form with a file; the key comes first where it needs one."""

    def get_route_handler(self) -> Answering:
        """As FastAPI answers, once the form is one that brings files."""
        answered = super().get_route_handler()
        known = {part.alias for part in self.dependant.body_params}
        files = [part.alias for part in self.dependant.body_params if part.field_info.annotation is UploadFile]

        async def handled(request: Request) -> Response:
            refuse_encoded(request)
            _refuse_other_than_forms(request.headers.get("Content-Type", ""), files[0])
            form = await form_of(request, files[0])
            not_begun_once_gone(request.receive)
            for name in files:
                if isinstance(form.get(name), str):
                    await form.close()
                    raise NotAFile(name)
            if mistakes := _of_parts(form, known, files):
                await form.close()
                raise RequestValidationError(mistakes)
            return await answered(request)

        return key_first(self, handled) if files else _of_short_query(self, answered)


def _of_parts(form: FormData, known: Set[str], files: Sequence[str]) -> list[dict[str, Any]]:
    """What is wrong with a form by the names of its parts, as FastAPI reports mistakes.

    A `subject` that is misspelt would else be none, and its picture would be left where the subject is erased.
    """
    counts = Counter(name for name, _ in form.multi_items())
    kinds = [("missing", name) for name in files if name not in counts]
    kinds += [("extra_forbidden", name) for name in counts if name not in known]
    kinds += [("part_repeated", name) for name, number in counts.items() if number > 1 and name in known]
    # FastAPI takes an empty text for one that is not there.
    kinds += [("string_too_short", name) for name, value in form.multi_items() if value == "" and name in known]
    said = {"msg": REPEATED, "input": "", "ctx": {"min_length": 1}}
    return [{"type": kind, "loc": ("body", name), **said} for kind, name in kinds]


def _of_short_query(route: APIRoute, answered: Answering) -> Answering:
    """The same for queries that are not long: each of its parts takes FastAPI as long as a field of a body.

    What would be passed over is refused: a list that is asked for a `subjct` would hold everybody's, and of two
    subjects the last one would count.
    """
    parameters = {each.alias: each.field_info.annotation for each in route.dependant.query_params}

    async def handled(request: Request) -> Response:
        query = request.scope["query_string"]
        if len(query) > MAX_QUERY:
            raise HTTPException(414)
        if query and parameters and (mistakes := _of_query(request, parameters)):
            raise RequestValidationError(mistakes)
        if request.method in ("GET", "HEAD"):
            not_begun_once_gone(request.receive)
        return await answered(request)

    return handled


def _of_query(request: Request, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with a query by the names in it, as FastAPI reports mistakes.

    Args:
        parameters: that the address takes, with their types.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    kinds = [("unknown_parameter", name) for name in counts.keys() - parameters.keys() - {OF_ROUTER}]
    kinds += [
        ("parameter_repeated", name)
        for name, number in counts.items()
        if number > 1 and name in parameters and get_origin(parameters[name]) is not list
    ]
    said = {"parameter_repeated": REPEATED, "unknown_parameter": UNKNOWN}
    return [{"type": kind, "loc": ("query", name), "msg": said[kind]} for kind, name in sorted(kinds)]


async def whole_body(receive: Receive) -> bytes:
    """A body, once all of it has come; Starlette's `Request.body` takes twice as long."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400)
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _read(request: Request, body: bytes, model: BodyModel) -> BaseModel:
    """A body as its route's model; raises `BodyRefused`, `RequestValidationError`."""
    plane: Plane = request.app.state.plane
    content_type = header_of(request.scope, b"content-type")
    owner = (await caller_of_request(request)).owner if len(body) > SMALL else ANYBODY
    return await plane.computing.run(owner, len(body), _read_as, body, content_type, model)


def _read_as(body: bytes, content_type: str, model: BodyModel) -> BaseModel:
    try:
        # Each value but the first of an array or an object has a comma before it.
        return model.read(read_json(body, content_type), body.count(b","))
    except Exception:
        forget_prompts()
        raise


def read_json(body: bytes, content_type: str) -> Any:
    """What a body says; of a name that comes twice in an object, the last one.

    Raises:
        BodyRefused: it cannot be read, with why and what to send.
    """
    if not body:
        raise EmptyBody
    _refuse_other_than_json(content_type)
    text = _text_of(body)
    # To count is a thousand times as fast as to look: nearly every body is settled by it.
    if text.count("[") + text.count("{") > MAX_DEPTH and (depth := depth_of(text)) > MAX_DEPTH:
        raise JsonLimit(f"the body nests {depth} levels deep, and at most {MAX_DEPTH} are read: send it flatter")
    try:
        return _READER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from None


def depth_of(text: str) -> int:
    """How deep arrays and objects nest in a JSON text."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _text_of(body: bytes) -> str:
    if len(body) > 1 and _WIDE.match(body):
        raise NotUtf8("it looks like UTF-16 or UTF-32")
    try:
        # RFC 8259, 8.1: a byte order mark may be passed over.
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8(f"byte {error.start + 1} is none of it") from None


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise JsonLimit(f"the body has a number of {len(digits)} digits, and at most {MAX_DIGITS} are read: shorten it")
    return int(digits)


def _no_constant(name: str) -> Any:
    raise NotJson(f"{name} is no number of JSON")


#: Made once: to make one takes longer than to read an edit.
_READER = json.JSONDecoder(parse_int=_whole_number, parse_constant=_no_constant)


def refuse_encoded(request: Request) -> None:
    """Raises `UnsupportedEncoding` where a body comes compressed."""
    if header_of(request.scope, b"content-encoding").strip().lower() not in ("", "identity"):
        raise UnsupportedEncoding


# Clients send few of them. What is refused is not kept.
@lru_cache(maxsize=64)
def _refuse_other_than_json(content_type: str) -> None:
    takes = "application/json"
    if not content_type:
        detail = f"the body comes without a Content-Type: send the header Content-Type: {takes}"
        raise UnsupportedMediaType(detail, takes=takes)
    kind = _parsed(content_type)
    subtype = kind.get_content_subtype()
    if kind.get_content_maintype() != "application" or not (subtype == "json" or subtype.endswith("+json")):
        detail = f"the body is not declared as JSON: send JSON with the header Content-Type: {takes}"
        raise UnsupportedMediaType(detail, takes=takes)
    if str(kind.get_param("charset", "")).lower() not in _UTF8:
        raise UnsupportedMediaType(f"the body is declared in another character set: send {takes} in UTF-8", takes=takes)


def _refuse_other_than_forms(content_type: str, name: str) -> None:
    takes = "multipart/form-data"
    if _parsed(content_type).get_content_type() != takes or not content_type:
        detail = f"a picture is sent as the part `{name}` of a {takes} body: such as curl -F {name}=@photo.png does"
        raise UnsupportedMediaType(detail, takes=takes)


def _parsed(content_type: str) -> Message:
    if len(content_type) > MAX_CONTENT_TYPE:
        raise UnsupportedMediaType(
            f"the Content-Type has {len(content_type)} characters, and at most {MAX_CONTENT_TYPE} are read: shorten it",
            takes="application/json, multipart/form-data",
        )
    message = Message()
    message["Content-Type"] = content_type
    return message


async def form_of(request: Request, name: str) -> FormData:
    """A form that brings a file.

    Args:
        name: of the file's part, for what is said of a form that cannot be read.
    Raises:
        BodyRefused, HTTPException: it cannot be read.
    """
    try:
        return await request.form(max_files=MAX_PARTS, max_fields=MAX_PARTS)
    except HTTPException as error:
        if error.status_code == 400 and str(error.detail).startswith("Too many "):
            raise TooManyParts(MAX_PARTS) from error
        # Only text has to be short: a file is read to the limit of bodies.
        if error.status_code == 400 and "exceeded maximum size" in str(error.detail):
            raise NotAFile(name) from error
        raise
    except ClientDisconnect as error:
        raise HTTPException(400) from error
