"""What a key may use in a day, the moment when it may go on, and the headers that say what is left."""

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from jobs.redis import keys
from jobs.usage import number_of
from service.api_keys import KeyRing
from service.app import create_app
from service.settings import Settings

EDIT = {
    "source": {"prompt": "a cat"},
    "targets": [{"prompt": "a dog", "edits": [{"kind": "replace"}]}],
    "sampling": {"seed": 0},
}


@pytest.fixture
def posts(redis_url, redis_client, tiny_models, tmp_path):
    """Makes a key with limits; gives its id, and what posts with it."""
    settings = Settings(redis_url=redis_url, models_file=tiny_models, storage_url=str(tmp_path))
    with TestClient(create_app(settings), base_url="http://localhost") as client:

        def made(**limits: object):
            key, token = KeyRing(redis_client).create("one", **limits)
            headers = {"Authorization": f"Bearer {token}"}
            return key.id, lambda body=EDIT, to="edits": client.post(f"/v1/{to}", json=body, headers=headers)

        yield made


def today() -> str:
    return keys.usage(number_of(datetime.now(UTC).date()))


def test_pictures_are_counted_when_they_are_asked_for(posts):
    _, post = posts(pictures_a_day=5)

    answers = [post() for _ in range(3)]  # of two pictures each

    assert [each.status_code for each in answers] == [202, 202, 429]
    left = answers[0].headers["RateLimit"]
    assert left.startswith('"pictures";r=3;t=')
    assert answers[0].headers["RateLimit-Policy"] == '"pictures";q=5;w=86400'
    assert answers[1].headers["RateLimit"].startswith('"pictures";r=1;t=')
    assert post({**EDIT, "sampling": {"seeds": [1, 2]}}).json()["code"] == "quota_reached"


def test_the_answer_says_when_the_key_may_go_on(posts):
    _, post = posts(pictures_a_day=1)

    refused = post()

    seconds = int(refused.headers["Retry-After"])
    assert 0 < seconds <= 86_400
    assert refused.headers["RateLimit"] == f'"pictures";r=1;t={seconds}'
    # Two pictures: to wait would not help.
    assert refused.json()["detail"].endswith(
        "and this asks for 2: no day has room for it, so ask for at most 1 at once"
    )


def test_a_request_that_is_larger_than_what_is_left_is_told_what_is(posts):
    _, post = posts(pictures_a_day=3)
    post()

    refused = post()

    assert refused.headers["RateLimit"].startswith('"pictures";r=1;t=')
    assert "has used 2 of the 3 pictures" in refused.json()["detail"]
    assert "and this asks for 2: ask for at most 1 now; it may go on from" in refused.json()["detail"]
    assert "T00:00Z" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("limit", "field", "policy"),
    [("gpu_seconds_a_day", "gpu_seconds", "gpu_seconds"), ("bytes_a_day", "bytes_stored", "bytes")],
)
def test_what_ended_jobs_have_used_counts(posts, redis_client, limit, field, policy):
    key, post = posts(**{limit: 100})
    assert post().headers["RateLimit"].startswith(f'"{policy}";r=100;t=')

    redis_client.hset(today(), f"{key} {field}", 99)
    assert post().headers["RateLimit"].startswith(f'"{policy}";r=1;t=')
    redis_client.hset(today(), f"{key} {field}", 100)

    refused = post()
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_reached")


def test_what_another_key_has_used_does_not_count(posts):
    _, one = posts(pictures_a_day=2)
    _, other = posts(pictures_a_day=2)

    assert [one().status_code, one().status_code, other().status_code] == [202, 429, 202]


def test_a_batch_is_counted_whole_or_not_at_all(posts, redis_client):
    key, post = posts(pictures_a_day=5)

    refused, taken = (post({"edits": [EDIT] * number}, to="batches") for number in (3, 2))

    assert (refused.status_code, taken.status_code) == (429, 202)
    assert redis_client.hget(today(), f"{key} pictures") == "4"


def test_the_rate_of_a_key_is_said_too(posts):
    _, post = posts(per_minute=6, burst=2)

    first, second, refused = (post() for _ in range(3))

    assert first.headers["RateLimit-Policy"] == '"edits";q=2;w=20'
    assert first.headers["RateLimit"].startswith('"edits";r=1;t=')
    assert second.headers["RateLimit"].startswith('"edits";r=0;t=')
    assert refused.headers["RateLimit"] == f'"edits";r=0;t={refused.headers["Retry-After"]}'


def test_a_key_without_limits_is_told_of_none(posts):
    _, post = posts()

    assert not any(name.lower().startswith("ratelimit") for name in post().headers)
