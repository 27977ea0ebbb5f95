"""How a request learns that its client has gone: the server says so once the body has been read."""

from contextlib import suppress
from functools import partial

from starlette.exceptions import HTTPException
from starlette.types import Receive

from layers.body_errors import BodyRefused
from process.leaving import client_leaves


async def gone(receive: Receive) -> None:
    """Returns once the client has closed its connection, or sent what no one may send."""
    # A body that no one has read comes first; what is wrong with it does not matter here.
    with suppress(HTTPException, BodyRefused):
        while (await receive())["type"] != "http.disconnect":
            pass


def not_begun_once_gone(receive: Receive) -> None:
    """What the request waits for from here on is not begun once its client has gone; its body has been read."""
    client_leaves(partial(gone, receive))
