"""Why a body was not read: each error says what was sent and what to send instead.

BodyRefused
├── EmptyBody              nothing was sent
├── NotJson                no JSON by its grammar
├── NotUtf8                text in another encoding
├── JsonLimit              JSON that is beyond what is read
├── NotAFile               a part of a form that is text
├── TooManyParts           a form of more parts than are read
├── BodyTooSlow            a body that stalls
├── UnsupportedMediaType   another type than the address takes, or a character set
└── UnsupportedEncoding    a body that is compressed
"""

from collections.abc import Mapping
from typing import ClassVar

from process.error_codes import message_of


class BodyRefused(Exception):
    """Base of the tree above; `headers` are those of the answer."""

    code: ClassVar[str] = "body_refused"
    headers: Mapping[str, str] = {}


class EmptyBody(BodyRefused):
    """The body is empty."""

    code = "empty_body"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class NotJson(BodyRefused):
    """The body is not JSON (RFC 8259); the message says where."""

    code = "not_json"

    def __init__(self, why: str) -> None:
        super().__init__(f"the body is not JSON: {why}; send one JSON object in UTF-8")


class NotUtf8(BodyRefused):
    """The body is text in another encoding than UTF-8."""

    code = "not_utf8"

    def __init__(self, why: str) -> None:
        super().__init__(f"the body is not UTF-8: {why}; send JSON in UTF-8")


class JsonLimit(BodyRefused):
    """The body is JSON that is nested more deeply, or has a longer number, than is read; the message says the limit."""

    code = "json_limit"


class NotAFile(BodyRefused):
    """The picture came as text in the form, not as a file."""

    code = "not_a_file"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the part `{name}` is text, for it has no `filename` (`filename*` is not read, as RFC 7578 says): send it "
            f"as a file, such as curl -F {name}=@photo.png does"
        )


class TooManyParts(BodyRefused):
    """The form has more parts than are read."""

    code = "too_many_parts"

    def __init__(self, most: int) -> None:
        super().__init__(f"the form has more than the {most} parts that are read: send the picture alone")


class BodyTooSlow(BodyRefused):
    """The body did not come at the pace that is waited for."""

    code = "body_too_slow"
    # RFC 9110, 15.5.9.
    headers: Mapping[str, str] = {"Connection": "close"}

    def __init__(self, length: int, seconds: float, rate: float) -> None:
        super().__init__(
            f"{length} bytes of the body came in {seconds:.0f} s, and the rest is not waited for: send it again, at "
            f"{rate:g} bytes a second or more"
        )


class UnsupportedMediaType(BodyRefused):
    """The body is of another type, or in another character set, than this address takes; the message says which."""

    code = "unsupported_media_type"

    def __init__(self, detail: str, *, takes: str) -> None:
        super().__init__(detail)
        # RFC 9110, 15.5.16 and 12.5.1.
        self.headers = {"Accept": takes}


class UnsupportedEncoding(BodyRefused):
    """The body is compressed, or encoded otherwise (Content-Encoding), and is read only as it is."""

    code = "unsupported_encoding"
    # RFC 9110, 15.5.16 and 12.5.3.
    headers: Mapping[str, str] = {"Accept-Encoding": "identity"}

    def __init__(self) -> None:
        super().__init__(message_of(self.code))
