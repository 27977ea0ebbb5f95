"""What a worker of several models asks of their queues, on a real Redis."""

import threading
from datetime import timedelta

import pytest
import redis

from jobs import moves
from jobs.model import new_job
from jobs.redis import keys
from jobs.redis.message import list_of
from jobs.redis.queue import RqJobQueue
from jobs.redis.several_queues import CLAIM, SeveralQueues
from jobs.redis.store import RedisJobStore
from p2p.spec import EditSpec
from tests.edits import CAT_TO_DOG
from tests.patience import PATIENCE, eventually

MODELS = ("here", "there", "nowhere")


@pytest.fixture
def messages(redis_url, redis_client):
    """A client as a worker has it, on an empty database."""
    redis_client.flushdb()
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def store(redis_client) -> RedisJobStore:
    return RedisJobStore(redis_client)


def posted(store: RedisJobStore, model: str):
    spec = EditSpec.model_validate({**CAT_TO_DOG.model_dump(exclude_unset=True), "model": model})
    job = new_job(spec, lifetime=timedelta(hours=1))
    store.create(job)
    return job


def test_it_sees_which_queues_have_messages(messages, store):
    queues = SeveralQueues(messages, MODELS, "w")
    assert queues.waiting() == frozenset()

    posted(store, "there"), posted(store, "elsewhere")

    assert queues.waiting() == {"there"}


def came(queues: SeveralQueues, how) -> bool:
    """Whether a wait ends for what is done meanwhile: it would last until the test is given up."""
    done = threading.Event()

    def waited() -> None:
        queues.wait(PATIENCE)
        done.set()

    threading.Thread(target=waited, daemon=True).start()
    how()
    return done.wait(PATIENCE / 10)


def test_a_wait_ends_with_a_message_that_is_new_given_back_or_sent_again(messages, store):
    queues = SeveralQueues(messages, MODELS, "w")
    queues.wait(0.01)  # from here on it hears
    job = posted(store, "here")
    assert came(queues, lambda: None), "what came before the wait is heard, too"
    running = store.make(moves.begin(job, "execution", timedelta(hours=1)))

    assert came(queues, lambda: store.make(moves.hand_back(running)))
    assert came(queues, lambda: RqJobQueue(messages).deliver(job.id, "here"))
    assert came(queues, lambda: posted(store, "there"))


def test_it_hears_of_its_own_models_alone(messages):
    queues = SeveralQueues(messages, MODELS, "w")
    queues.wait(0.01)

    wanted = set(map(list_of, MODELS))
    assert eventually(lambda: {channel.decode() for channel in messages.pubsub_channels()} == wanted)
    assert queues.waiting() == frozenset()


def test_it_goes_on_where_the_connection_is_lost_and_hears_again(messages, store, redis_client):
    queues = SeveralQueues(messages, MODELS, "w")
    queues.wait(0.01)
    redis_client.client_kill_filter(_type="pubsub")
    queues.wait(0.01)
    queues.wait(0.01)

    assert came(queues, lambda: posted(store, "here"))


def test_a_user_without_a_right_to_channels_waits_in_turns_and_says_so_once(redis_url, redis_client, caplog):
    redis_client.acl_setuser("deaf", enabled=True, nopass=True, keys=["*"], commands=["+@all"], reset_channels=True)
    with redis.Redis.from_url(redis_url, username="deaf", password="any") as client:
        queues = SeveralQueues(client, MODELS, "w")
        for _ in range(3):
            queues.wait(0.01)

        store = RedisJobStore(redis.Redis.from_url(redis_url, username="deaf", password="any", decode_responses=True))
        posted(store, "here")
        assert queues.waiting() == {"here"}
    redis_client.acl_deluser("deaf")
    redis_client.flushdb()

    assert caplog.text.count("new messages are not heard") == 1


def test_one_worker_at_a_time_loads_a_model(messages):
    one, other = (SeveralQueues(messages, MODELS, holder) for holder in ("one", "other"))

    assert (one.claim("here"), one.claim("here"), other.claim("here"), other.claim("there")) == (
        True,
        True,
        False,
        True,
    )
    other.release("here")
    assert not other.claim("here"), "it gave up another worker's claim"
    one.renew("here")
    assert 0 < messages.ttl(keys.loading("here")) <= CLAIM
    one.release("here")
    assert other.claim("here")


def test_a_message_stays_in_its_queue_until_it_is_moved(messages, store):
    posted(store, "here")
    SeveralQueues(messages, MODELS, "w").waiting()

    assert messages.llen(list_of("here")) == 1


def test_a_claim_that_redis_does_not_hear_released_runs_out_by_itself():
    with redis.Redis(host="127.0.0.1", port=1, retry=None) as client:
        SeveralQueues(client, MODELS, "w").release("here")
