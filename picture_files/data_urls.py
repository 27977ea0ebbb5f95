"""A file that stands in its URL itself (RFC 2397): data:image/png;base64,...

What it says of its type is not looked at, as of any file.
"""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from process.addresses import UrlRefused

_HEAD = re.compile(r"data:[^,]*", re.IGNORECASE)
#: How a URL is cut into its head and its data, and how it says that the data are base64.
_BASE64 = re.compile(r";\s*base64\s*$", re.IGNORECASE)


def is_data_url(url: str) -> bool:
    """Whether a URL holds its file itself."""
    return url[:5].lower() == "data:"


def file_of(url: str) -> bytes:
    """The file that a data: URL holds.

    As browsers do, it takes base64 without its padding and with white space in it.

    Raises:
        UrlRefused: it holds none.
    """
    head = _HEAD.match(url)
    if head is None or head.end() == len(url):
        raise UrlRefused("data_url", "has no comma, behind which the file stands: write data:image/png;base64,...")
    data = unquote_to_bytes(url[head.end() + 1 :])
    if not _BASE64.search(head[0]):
        return data
    text = re.sub(rb"[\t\n\f\r ]", b"", data).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UrlRefused("data_url", "is not base64 behind its comma: encode the file anew") from error
