"""A seed that nobody chose is drawn once, when the edit is accepted, and stands in every answer from then on."""

import json
from dataclasses import replace

import pytest

from jobs import moves
from jobs.batches import Batch
from jobs.redis.record import decode, encode, plain, plain_of
from jobs.testing import InMemoryBatches
from p2p.seeds import draw_seed, drawn
from p2p.spec import MAX_SEED, EditSpec
from service.edits.views import shown
from tests.edits import CAT_TO_DOG

#: The first two seeds that the twins draw (conftest.py).
FIRST, SECOND = 1000, 1001


def post(client, edit, sampling=..., **headers):
    body = edit if sampling is ... else {**edit, "sampling": sampling}
    return client.post("/v1/edits", json=body, headers=headers)


@pytest.mark.parametrize(
    "sampling", [..., None, {}, {"seed": None}, {"seed": -1}, {"seed": -1.0}, {"seed": None, "seeds": None}], ids=repr
)
def test_a_seed_that_is_not_named_is_drawn_and_said(client, edit, parts, sampling):
    accepted = post(client, edit, sampling).json()

    assert (accepted["seed"], accepted["seeds"]) == (FIRST, None)
    view = client.get(accepted["links"]["self"]).json()
    assert (view["seed"], view["spec"]["sampling"]["seed"]) == (FIRST, FIRST)
    assert [(each["seed"], each["seeds"]) for each in client.get("/v1/edits").json()["edits"]] == [(FIRST, None)]
    assert parts.store.get(accepted["id"]).spec.sampling.seed == FIRST


@pytest.mark.parametrize("seed", [0, 1, MAX_SEED])
def test_a_seed_that_is_named_is_kept(client, edit, seed):
    accepted = post(client, edit, {"seed": seed}).json()

    assert (accepted["seed"], accepted["seeds"]) == (seed, None)


@pytest.mark.parametrize("seed", [-2, MAX_SEED + 1, 2**53 - 1, 0.5, "7", True])
def test_what_is_no_seed_is_refused_where_it_stands(client, edit, seed):
    answer = post(client, edit, {"seed": seed})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/sampling/seed"]


@pytest.mark.parametrize(
    ("seeds", "made"),
    [
        ([5, 6], [5, 6]),
        ([-1], [FIRST]),
        ([-1, -1], [FIRST, SECOND]),
        ([7, -1, FIRST], [7, SECOND, FIRST]),  # what is drawn is none of those that are named
    ],
)
def test_each_of_several_seeds_may_be_drawn_and_no_two_are_the_same(client, edit, seeds, made):
    accepted = post(client, edit, {"seeds": seeds}).json()

    assert (accepted["seed"], accepted["seeds"]) == (None, made)
    view = client.get(accepted["links"]["self"]).json()
    assert (view["seed"], view["seeds"], view["spec"]["sampling"]["seeds"]) == (None, made, made)


def test_several_seeds_must_be_one_at_least(client, edit):
    assert post(client, edit, {"seeds": []}).json()["errors"][0]["code"] == "too_few"


@pytest.mark.parametrize("seed", [7, -1])
def test_seed_and_seeds_together_are_refused(client, edit, seed):
    problem = post(client, edit, {"seed": seed, "seeds": [1, 2]}).json()

    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/sampling/seed", "seeds_conflict")]


@pytest.mark.parametrize("sampling", [{}, {"seed": -1}, {"seeds": [-1, 4]}], ids=repr)
def test_the_same_request_again_has_the_seed_that_was_drawn(client, edit, sampling):
    first, again = (post(client, edit, sampling, **{"Idempotency-Key": "order-1"}).json() for _ in range(2))

    assert again == first


@pytest.mark.parametrize("sampling", [{}, {"seed": None}, {"seeds": [-1]}], ids=repr)
def test_an_edit_that_is_put_again_has_the_seed_that_was_drawn(client, edit, sampling):
    first, again = (client.put("/v1/edits/mine", json={**edit, "sampling": sampling}) for _ in range(2))

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()


def test_a_seed_is_drawn_anew_for_each_new_request(client, edit):
    assert [post(client, edit).json()["seed"] for _ in range(2)] == [FIRST, SECOND]


def test_naming_the_seed_that_was_drawn_is_another_request_under_the_same_key(client, edit):
    post(client, edit, {}, **{"Idempotency-Key": "order-1"})

    assert post(client, edit, {"seed": FIRST}, **{"Idempotency-Key": "order-1"}).status_code == 422


def test_the_edits_of_a_batch_are_listed_with_their_seeds(client, edit):
    edits = [edit, {**edit, "sampling": {"seed": 3}}, {**edit, "sampling": {"seeds": [4, -1]}}]

    batch = client.post("/v1/batches", json={"edits": edits}, headers={"Idempotency-Key": "b"}).json()
    again = client.post("/v1/batches", json={"edits": edits}, headers={"Idempotency-Key": "b"}).json()

    said = [(each["seed"], each["seeds"]) for each in batch["edits"]]
    assert said == [(FIRST, None), (3, None), (None, [4, SECOND])]
    assert again == client.get(batch["links"]["self"]).json() == batch
    assert [client.get(each["links"]["self"]).json()["seed"] for each in batch["edits"]] == [FIRST, 3, None]


def test_a_batch_that_an_older_version_wrote_is_shown_without_seeds(client, edit, parts, monkeypatch):
    batch = client.post("/v1/batches", json={"edits": [edit, edit]}).json()
    get = InMemoryBatches.get

    async def older(self, batch_id):
        standing = await get(self, batch_id)
        written = Batch.model_validate_json(standing.batch.model_dump_json(exclude={"seeds"}))
        return replace(standing, batch=written)

    monkeypatch.setattr(InMemoryBatches, "get", older)

    assert [each["seed"] for each in client.get(batch["links"]["self"]).json()["edits"]] == [None, None]


def test_a_finished_edit_still_says_its_seed(client, edit, parts):
    accepted = post(client, edit).json()
    job = parts.store.get(accepted["id"])
    parts.store.make(moves.cancel(job))

    assert client.get(accepted["links"]["self"]).json()["seed"] == FIRST


@pytest.mark.parametrize(
    ("sampling", "said"), [({"seed": 0, "seeds": None}, (0, None)), ({"seed": 0, "seeds": [4, 5]}, (None, [4, 5]))]
)
def test_a_record_that_an_older_version_wrote_is_read_and_shown(client, edit, parts, sampling, said):
    """Before, a seed that was not named was 0, also beside `seeds`."""
    job = parts.store.get(post(client, edit, {"seed": 1}).json()["id"])
    old = job.model_copy(update={"spec": job.spec.model_copy(update={"sampling": job.spec.sampling.model_copy(
        update={**sampling, "seeds": sampling["seeds"] and tuple(sampling["seeds"])})})})  # fmt: skip
    fields = encode({name: getattr(old, name) for name in type(old).model_fields})

    for record in (plain(fields), plain_of(decode(fields))):
        view = json.loads(shown(record, str))
        assert (view["seed"], view["seeds"]) == said


# The drawing itself.


def test_what_is_drawn_is_below_its_bound_and_seldom_the_same():
    seeds = {draw_seed() for _ in range(1000)}

    assert all(0 <= seed <= MAX_SEED for seed in seeds)
    # A thousand of four thousand million: one pair in ten thousand runs.
    assert len(seeds) >= 998


@pytest.mark.parametrize("seed", [0, MAX_SEED])
def test_both_ends_of_the_range_can_be_drawn_and_asked_for_again(seed):
    spec = drawn(CAT_TO_DOG, lambda: seed)

    assert spec.seeds == (seed,)
    assert drawn(EditSpec.model_validate_json(spec.model_dump_json())) == spec


def test_a_spec_that_names_its_seeds_is_left_as_it_is():
    spec = CAT_TO_DOG.of_seeds(4, 5)

    assert drawn(spec) is spec
