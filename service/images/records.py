"""The records of pictures in Redis, as the API uses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

import redis.asyncio

from jobs.errors import ImageNotFound, TooManyImages
from jobs.images import Image, image_prefix
from jobs.redis import keys
from jobs.redis.lua import lua
from jobs.redis.replicated import Replicated

#: Seconds after which room may be asked for again at the latest: an edit may keep the first to expire for days, and a
#: client may delete another one meanwhile.
PATIENCE = 3600

#: The scripts of this room.
LUA = Path(__file__).with_name("lua")


Place = tuple[float, str]


@dataclass(frozen=True)
class Owned:
    """A place in an owner's list: the millisecond in which a picture ends, and its id.

    Attributes:
        image: None if it is gone.
    """

    at: Place
    image: Image | None


class Images(Protocol):
    """What is known of pictures. Somebody else's is answered like none at all."""

    async def add(self, image: Image, most: int) -> None:
        """Keep a record, and have all that lies at its place removed when it ends; raises `TooManyImages`."""

    async def get(self, image_id: str, owner: str) -> Image:
        """The record; raises `ImageNotFound`."""

    async def owned(self, owner: str, after: Place | None, count: int) -> Sequence[Owned]:
        """An owner's pictures after a place, the first to end first; fewer than `count` where no more follow."""

    async def need(self, image: Image, until: datetime) -> None:
        """Have a picture stay until then at least; raises `ImageNotFound`."""

    async def erase(self, image: Image) -> None:
        """Forget a picture, and have it removed; raises `ImageNotFound`."""


class RedisImages:
    """`Images` over an asyncio client made with `decode_responses=True`."""

    def __init__(self, client: redis.asyncio.Redis, writes: Replicated | None = None) -> None:
        self._client, writes = client, writes or Replicated(client)
        self._add, self._need, self._erase = (writes.script(lua(name, LUA)) for name in ("add", "need", "erase"))

    async def add(self, image: Image, most: int) -> None:
        said = image.model_dump_json(exclude={"expires_at"})
        values: list[str | int] = [
            image.id,
            image_prefix(image.id),
            said,
            _milliseconds(image.expires_at),
            most,
            _index(image),
        ]
        if ends := await self._add(_keys(image), values):
            raise TooManyImages(most, min(int(ends) / 1000, PATIENCE))

    async def get(self, image_id: str, owner: str) -> Image:
        found = await cast(Any, self._client.hmget(keys.image(image_id), "said", "expires_at"))
        image = _read(*found)
        if image is None or image.owner != owner:
            raise ImageNotFound
        return image

    async def owned(self, owner: str, after: Place | None, count: int) -> Sequence[Owned]:
        key, places = keys.images(owner), cast(list[Place], [])
        if after is not None:
            # Pictures of one edit end in the same millisecond, any number of them; then they are in the order of ids.
            same = cast(list[str], await self._client.zrangebyscore(key, after[0], after[0]))
            places = [(after[0], image_id) for image_id in same if image_id > after[1]]
        since = "-inf" if after is None else f"({after[0]:.0f}"
        rest = cast(Any, await self._client.zrangebyscore(key, since, "+inf", 0, count, withscores=True))
        places = [*places, *((float(ends), image_id) for image_id, ends in rest)][:count]
        async with self._client.pipeline(transaction=False) as commands:
            for _, image_id in places:
                commands.hmget(keys.image(image_id), "said", "expires_at")
            records = await commands.execute() if places else []
        return [Owned(place, _read(*record)) for place, record in zip(places, records, strict=True)]

    async def need(self, image: Image, until: datetime) -> None:
        if not await self._need(_keys(image), [image.id, image_prefix(image.id), _milliseconds(until), _index(image)]):
            raise ImageNotFound

    async def erase(self, image: Image) -> None:
        if not await self._erase(_keys(image), [image.id, image_prefix(image.id), _index(image)]):
            raise ImageNotFound


def _read(said: str | None, ends: str | None) -> Image | None:
    if said is None or ends is None:
        return None
    expires_at = datetime.fromtimestamp(int(ends) / 1000, UTC).isoformat()
    return Image.model_validate_json(f'{said[:-1]},"expires_at":"{expires_at}"}}')


def _keys(image: Image) -> list[str]:
    return [keys.image(image.id), keys.images(image.owner), keys.LITTER]


def _index(image: Image) -> str:
    """The index of all that is of the same subject; "" where it is of none."""
    subject = image.labels and image.labels.subject
    return keys.subject(image.owner, subject) if subject else ""


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
