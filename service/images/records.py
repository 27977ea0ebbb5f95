"""The records of pictures in Redis, as the API uses them."""

from datetime import UTC, datetime
from typing import Any, Protocol, cast

import redis.asyncio

from service.jobs import keys
from service.jobs.errors import ImageNotFound, TooManyImages
from service.jobs.images import Image, image_prefix
from service.jobs.scripts import KEEP

#: KEYS: record, images of the owner, litter. ARGV: id, prefix, record as JSON, its end in milliseconds, most.
_ADD = (
    KEEP
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], 'said', ARGV[3], 'expires_at', ARGV[4])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
keep(KEYS[2], ARGV[4] - now)
keep(KEYS[3], ARGV[4] - now + 604800000)
return 1
"""
)
#: KEYS as above. ARGV: id, prefix, milliseconds until which it is needed. Answers whether it is there.
_NEED = (
    KEEP
    + """
local ends = tonumber(redis.call('HGET', KEYS[1], 'expires_at'))
if not ends then return 0 end
if ends >= tonumber(ARGV[3]) then return 1 end
redis.call('HSET', KEYS[1], 'expires_at', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2])
keep(KEYS[2], ARGV[3] - now)
keep(KEYS[3], ARGV[3] - now + 604800000)
return 1
"""
)
#: KEYS as above. ARGV: id, prefix. Answers whether it was there.
_ERASE = (
    KEEP
    + """
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[2])
keep(KEYS[3], 604800000)
return 1
"""
)


class Images(Protocol):
    """What is known of pictures. Somebody else's is answered like none at all."""

    async def add(self, image: Image, most: int) -> None:
        """Keep a record, and have all that lies at its place removed when it ends; raises `TooManyImages`."""

    async def get(self, image_id: str, owner: str) -> Image:
        """The record; raises `ImageNotFound`."""

    async def need(self, image: Image, until: datetime) -> None:
        """Have a picture stay until then at least; raises `ImageNotFound`."""

    async def erase(self, image: Image) -> None:
        """Forget a picture, and have it removed; raises `ImageNotFound`."""


class RedisImages:
    """`Images` over an asyncio client made with `decode_responses=True`."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._add, self._need, self._erase = map(client.register_script, (_ADD, _NEED, _ERASE))

    async def add(self, image: Image, most: int) -> None:
        said = image.model_dump_json(exclude={"expires_at"})
        values: list[str | int] = [image.id, image_prefix(image.id), said, _milliseconds(image.expires_at), most]
        if not await self._add(_keys(image), values):
            raise TooManyImages(most)

    async def get(self, image_id: str, owner: str) -> Image:
        said, ends = cast(
            list[str | None], await cast(Any, self._client.hmget(keys.image(image_id), "said", "expires_at"))
        )
        if said is None or ends is None:
            raise ImageNotFound
        expires_at = datetime.fromtimestamp(int(ends) / 1000, UTC).isoformat()
        image = Image.model_validate_json(f'{said[:-1]},"expires_at":"{expires_at}"}}')
        if image.owner != owner:
            raise ImageNotFound
        return image

    async def need(self, image: Image, until: datetime) -> None:
        if not await self._need(_keys(image), [image.id, image_prefix(image.id), _milliseconds(until)]):
            raise ImageNotFound

    async def erase(self, image: Image) -> None:
        if not await self._erase(_keys(image), [image.id, image_prefix(image.id)]):
            raise ImageNotFound


def _keys(image: Image) -> list[str]:
    return [keys.image(image.id), keys.images(image.owner), keys.LITTER]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
