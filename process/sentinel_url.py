"""A REDIS_URL that names Sentinels: they know which server is the primary now.

    redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/NAME[/DATABASE][?OPTIONS]

User and password are those of the primary and its replicas. NAME is what the Sentinels call the primary. What the
Sentinels themselves need has options of its own, which begin with `sentinel_`.
"""

import re
from typing import NamedTuple

#: The port of a Sentinel whose URL names none.
PORT = 26379
NEEDED = "redis+sentinel://HOST:26379,HOST:26379/NAME/0, with the name that the Sentinels give the primary"
#: What stands before the name of an option that is the Sentinels' own.
OWN = "sentinel_"


class SentinelUrl(NamedTuple):
    """The parts of such a URL, as they are written in it.

    Attributes:
        user: "USER:PASSWORD@" of the primary, or "".
        sentinels: host and port of each.
        name: of the primary.
        database: its number; "" where there is none.
        query: what stands after the "?".
    """

    scheme: str
    user: str
    sentinels: tuple[tuple[str, int], ...]
    name: str
    database: str
    query: str


def parsed(url: str) -> SentinelUrl:
    """The parts of a URL.

    Raises:
        ValueError: it cannot be read so; the message says what is needed, and repeats nothing that may be a secret.
    """
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    # Up to the last @: a password that is not percent-encoded may hold one, or a slash.
    user, at, place = place.rpartition("@")
    addresses, _, path = place.partition("/")
    if not addresses.strip(","):
        raise ValueError(f"the Sentinels' hosts are missing; give {NEEDED}")
    sentinels = tuple(_address(each) for each in addresses.split(","))
    name, _, database = path.partition("/")
    if not name:
        raise ValueError(f"the name of the primary is missing; give {NEEDED}")
    if name.isdecimal() and not database:
        raise ValueError(f"the path has a database and no name of a primary; give {NEEDED}")
    if database and not (database.isdecimal() and len(database) < 10):
        raise ValueError(f"after the primary's name the path must have the number of a database, such as /{name}/0")
    return SentinelUrl(scheme, user + at, sentinels, name, database, query)


def _address(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.%A-Za-z0-9]+\]|[^\[\]:]+)(?::(.*))?", text)
    if found is None:
        raise ValueError("the hosts cannot be read; write %2F, %3A and %40 for / : and @ in a password")
    port = str(PORT) if found[2] is None else found[2]
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise ValueError(
            "each port must be a number from 1 to 65535; write %2F, %3A and %40 for / : and @ in a password"
        )
    return found[1].strip("[]"), int(port)
