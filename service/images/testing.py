"""In-memory twins of the records of pictures and inversions, for unit tests."""

from collections.abc import Sequence
from datetime import datetime

from jobs.errors import ImageNotFound, TooManyImages
from jobs.images import Image
from jobs.inversions import KeptInversion
from service.images.records import Owned, Place


class InMemoryImages:
    """`Images` over a dictionary, without any end of a lifetime."""

    def __init__(self) -> None:
        self.kept: dict[str, Image] = {}

    async def add(self, image: Image, most: int) -> None:
        if sum(each.owner == image.owner for each in self.kept.values()) >= most:
            raise TooManyImages(most, 1.5)
        self.kept[image.id] = image

    async def get(self, image_id: str, owner: str) -> Image:
        image = self.kept.get(image_id)
        if image is None or image.owner != owner:
            raise ImageNotFound
        return image

    async def owned(self, owner: str, after: Place | None, count: int) -> Sequence[Owned]:
        own = [Owned((each.expires_at.timestamp() * 1000 // 1, each.id), each) for each in self.kept.values()]
        own = sorted((each for each in own if each.image and each.image.owner == owner), key=lambda each: each.at)
        return [each for each in own if after is None or each.at > after][:count]

    async def need(self, image: Image, until: datetime) -> None:
        if image.id not in self.kept:
            raise ImageNotFound
        found = self.kept[image.id]
        self.kept[image.id] = found.model_copy(update={"expires_at": max(found.expires_at, until)})

    async def erase(self, image: Image) -> None:
        if self.kept.pop(image.id, None) is None:
            raise ImageNotFound


class InMemoryInversions:
    """`Inversions` over a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptInversion] = {}

    async def owned(self, owner: str) -> Sequence[KeptInversion]:
        return [inversion for inversion in self.kept.values() if inversion.owner == owner]

    async def erase(self, inversion: KeptInversion) -> None:
        del self.kept[inversion.id]
