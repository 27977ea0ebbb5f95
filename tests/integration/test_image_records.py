"""Pictures in a real Redis and a real storage: they end, stay while they are needed, and leave nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis.asyncio

from jobs.errors import ArtifactNotFound, ImageNotFound, TooManyImages
from jobs.images import Image, image_key, new_image_id
from jobs.inversions import KeptInversion, inversion_key
from jobs.model import Reconstruction
from jobs.redis import keys
from jobs.redis.queue import RqJobQueue
from jobs.redis.sources import RedisKeptSources
from jobs.redis.store import RedisJobStore
from jobs.redis.upkeep import Upkeep
from jobs.testing import MemoryStorage
from reaper.__main__ import Reaper
from service.images.records import RedisImages
from service.inversions.records import RedisInversions


def image(owner: str = "somebody", lifetime: timedelta = timedelta(hours=1)) -> Image:
    now = datetime.now(UTC)
    return Image(
        id=new_image_id(),
        owner=owner,
        width=4,
        height=3,
        digest="0",
        format="PNG",
        bytes=9,
        created_at=now,
        expires_at=now + lifetime,
    )


@pytest.fixture
def done(redis_url, redis_client) -> Callable[..., Any]:
    """Does something with the records of an empty Redis."""
    redis_client.flushdb()

    def do(step: Callable[[RedisImages], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
                return await step(RedisImages(client))

        return asyncio.run(run())

    return do


@pytest.fixture
def swept(redis_url, redis_client):
    """What a sweep of the reaper leaves of a picture's object."""
    storage = MemoryStorage()

    def sweep(kept: Image) -> bool:
        storage.put(image_key(kept.id), b"a picture", "image/png")
        queue = RqJobQueue(redis.Redis.from_url(redis_url))
        Reaper(Upkeep(redis_client), RedisJobStore(redis_client), queue, storage, max_attempts=3).sweep()
        try:
            return bool(storage.read(image_key(kept.id)))
        except ArtifactNotFound:
            return False

    return sweep


def test_what_is_kept_is_given_back(done):
    kept = image()
    done(lambda images: images.add(kept, 10))

    found = done(lambda images: images.get(kept.id, "somebody"))

    # Redis keeps milliseconds.
    assert abs(found.expires_at - kept.expires_at) < timedelta(milliseconds=1)
    assert found.model_copy(update={"expires_at": kept.expires_at}) == kept


def test_a_picture_is_there_for_its_owner_alone(done):
    kept = image()
    done(lambda images: images.add(kept, 10))

    with pytest.raises(ImageNotFound):
        done(lambda images: images.get(kept.id, "anybody"))


def test_a_picture_ends_and_is_removed_from_the_storage(done, swept, redis_client):
    kept = image(lifetime=timedelta(milliseconds=-1))
    done(lambda images: images.add(kept, 10))

    assert not swept(kept)
    with pytest.raises(ImageNotFound):
        done(lambda images: images.get(kept.id, "somebody"))


def test_a_picture_that_an_edit_needs_outlives_its_own_end(done, swept, redis_client):
    kept = image(lifetime=timedelta(seconds=60))
    until = kept.expires_at + timedelta(hours=1)
    done(lambda images: images.add(kept, 10))
    done(lambda images: images.need(kept, until))

    assert swept(kept)
    assert redis_client.zscore(keys.LITTER, f"images/{kept.id}") == int(until.timestamp() * 1000)
    assert redis_client.pttl(keys.image(kept.id)) > 3_600_000


def test_a_need_never_shortens_a_life(done, redis_client):
    kept = image()
    done(lambda images: images.add(kept, 10))
    done(lambda images: images.need(kept, datetime.now(UTC)))

    assert redis_client.pttl(keys.image(kept.id)) > 3_500_000


def test_an_erased_picture_is_removed_at_the_next_sweep_and_nobody_can_need_it(done, swept):
    kept = image()
    done(lambda images: images.add(kept, 10))
    done(lambda images: images.erase(kept))

    assert not swept(kept)
    for step in (lambda images: images.need(kept, kept.expires_at), lambda images: images.erase(kept)):
        with pytest.raises(ImageNotFound):
            done(step)


def test_an_owner_keeps_so_many_at_a_time(done):
    first = image()
    done(lambda images: images.add(first, 1))
    with pytest.raises(TooManyImages):
        done(lambda images: images.add(image(), 1))
    done(lambda images: images.add(image("another"), 1))
    done(lambda images: images.erase(first))

    done(lambda images: images.add(image(), 1))


def test_who_keeps_too_many_is_told_when_the_first_of_them_ends(done):
    done(lambda images: images.add(image(lifetime=timedelta(minutes=5)), 2))
    done(lambda images: images.add(image(lifetime=timedelta(minutes=2)), 2))
    with pytest.raises(TooManyImages) as refused:
        done(lambda images: images.add(image(), 2))

    assert 60 < refused.value.retry_after <= 120


def test_nobody_is_sent_away_for_longer_than_an_hour(done):
    done(lambda images: images.add(image(lifetime=timedelta(days=2)), 1))
    with pytest.raises(TooManyImages) as refused:
        done(lambda images: images.add(image(), 1))

    assert refused.value.retry_after == 3600


def test_where_none_may_be_kept_one_may_ask_again(done):
    with pytest.raises(TooManyImages) as refused:
        done(lambda images: images.add(image(), 0))

    assert refused.value.retry_after > 0


def test_an_owners_pictures_are_listed_by_their_ends_though_these_be_the_same(done):
    """One edit needs many, all for the same time: a page may end anywhere among them."""
    kept = [image(lifetime=timedelta(minutes=minutes)) for minutes in (7, 1, 2, 3, 4, 5, 6)]
    for each in [*kept, image("another")]:
        done(lambda images, each=each: images.add(each, 10))
    until = kept[0].expires_at + timedelta(minutes=2)
    for each in kept[1:6]:
        done(lambda images, each=each: images.need(each, until))

    found, after = [], None
    while page := done(lambda images: images.owned("somebody", after, 2)):  # noqa: B023
        found += [owned.image.id for owned in page]
        after = page[-1].at

    assert found == [kept[6].id, kept[0].id, *sorted(each.id for each in kept[1:6])]


def test_a_picture_that_has_ended_is_a_place_without_one(done, redis_client):
    kept = image()
    done(lambda images: images.add(kept, 10))
    redis_client.delete(keys.image(kept.id))

    assert [owned.image for owned in done(lambda images: images.owned("somebody", None, 2))] == [None]


def test_nothing_about_a_picture_stays_for_ever(done, redis_client):
    done(lambda images: images.add(image(), 10))

    assert [key for key in redis_client.scan_iter("*") if redis_client.ttl(key) == -1] == []


def inversion(kept: Image, source: str = "digest") -> KeptInversion:
    said = Reconstruction(psnr=None, ssim=1, autoencoder_psnr=30.5, autoencoder_ssim=0.9, inversion="made")
    return KeptInversion(
        id=new_image_id().removeprefix("img_"),
        owner=kept.owner,
        source=source,
        image=kept.id,
        model="tiny",
        prompt="a cat",
        method="direct",
        steps=3,
        reconstruction=said,
        unet_evaluations=6,
        bytes=9,
        created_at=kept.created_at,
        expires_at=kept.expires_at,
    )


@pytest.fixture
def listed(redis_url):
    """An owner's inversions, after something was done with them."""

    def found(owner: str, step: Callable[[RedisInversions], Awaitable[Any]] | None = None) -> list[KeptInversion]:
        async def run() -> list[KeptInversion]:
            async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
                if step is not None:
                    await step(RedisInversions(client))
                return list(await RedisInversions(client).owned(owner))

        return asyncio.run(run())

    return found


def test_an_inversion_is_found_by_its_digest_and_in_its_owners_list(done, listed, redis_client):
    kept, sources = image(), RedisKeptSources(redis_client)
    done(lambda images: images.add(kept, 10))
    made = inversion(kept)

    assert sources.keep(made)

    assert sources.find("somebody", "digest") == inversion_key(made.id)
    assert sources.find("anybody", "digest") is None
    assert (listed("somebody"), listed("anybody")) == ([made], [])
    assert redis_client.pttl(keys.inversion(made.id)) > 3_500_000
    assert redis_client.zscore(keys.LITTER, f"inversions/{made.id}") == int(made.expires_at.timestamp() * 1000)


def test_a_newer_inversion_takes_the_place_of_an_older_one_which_is_removed(done, listed, redis_client):
    kept, sources = image(), RedisKeptSources(redis_client)
    done(lambda images: images.add(kept, 10))
    older, newer = inversion(kept), inversion(kept)
    sources.keep(older)
    sources.keep(newer)

    assert listed("somebody") == [newer]
    assert sources.find("somebody", "digest") == inversion_key(newer.id)
    assert f"inversions/{older.id}" in Upkeep(redis_client).litter()


def test_no_inversion_is_kept_of_a_picture_that_is_gone(done, listed, redis_client):
    sources = RedisKeptSources(redis_client)

    assert not sources.keep(inversion(image()))
    assert (listed("somebody"), sources.find("somebody", "digest")) == ([], None)


def test_an_erased_inversion_is_found_no_more_and_removed_twice(done, listed, redis_client):
    """The second time for what a worker was just storing."""
    kept, sources = image(), RedisKeptSources(redis_client)
    done(lambda images: images.add(kept, 10))
    made = inversion(kept)
    sources.keep(made)

    assert listed("somebody", lambda inversions: inversions.erase(made)) == []
    assert sources.find("somebody", "digest") is None
    assert f"inversions/{made.id}" in Upkeep(redis_client).litter()
    assert redis_client.zscore(keys.LITTER, f"inversions/{made.id}#again") > 0


def test_nothing_about_an_inversion_stays_for_ever(done, listed, redis_client):
    kept = image()
    done(lambda images: images.add(kept, 10))
    made = inversion(kept)
    RedisKeptSources(redis_client).keep(made)
    listed("somebody", lambda inversions: inversions.erase(made))

    assert [key for key in redis_client.scan_iter("*") if redis_client.ttl(key) == -1] == []
