"""A request that names no model gets the first one of the models file, whatever that is called."""

from dataclasses import replace

import pytest

from jobs.catalogue import load_catalogue
from jobs.model import Job, new_job
from p2p.spec import EditSpec
from service.edits.resolving import known_model
from tests.unit.service.test_images import file_of, halves

EDIT = {
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
}


@pytest.fixture
def first(parts) -> str:
    """The first model of a file in which it is none of those that stood first before."""
    whole = parts.plane.catalogue
    order = ["tiny-third", *(name for name in whole if name != "tiny-third")]
    parts.plane = replace(parts.plane, catalogue={name: whole[name] for name in order})
    return order[0]


def job_of(parts, response) -> Job:
    assert response.status_code in (200, 202), response.text
    return parts.store.get(response.json()["id"])


@pytest.mark.parametrize("model", [{}, {"model": None}], ids=["absent", "null"])
def test_an_edit_without_a_model_is_one_for_the_first(parts, first, client, model):
    job = job_of(parts, client.post("/v1/edits", json={**EDIT, **model}))

    assert (job.model, job.spec.model) == (first, first)
    view = client.get(f"/v1/edits/{job.id}").json()
    assert (view["model"], view["spec"]["model"]) == (first, first)


def test_an_edit_that_names_a_model_gets_it(parts, first, client):
    job = job_of(parts, client.post("/v1/edits", json={**EDIT, "model": "tiny"}))

    assert (job.model, job.spec.model) == ("tiny", "tiny")


def test_an_edit_that_is_put_under_an_id_has_the_first_model_too(parts, first, client):
    job = job_of(parts, client.put("/v1/edits/mine", json=EDIT))

    assert (job.model, job.spec.model) == (first, first)


def test_each_edit_of_a_batch_that_names_no_model_gets_the_first(parts, first, client):
    answer = client.post("/v1/batches", json={"edits": [EDIT, {**EDIT, "model": "tiny"}, EDIT]})

    assert answer.status_code == 202, answer.text
    jobs = [parts.store.get(edit["id"]) for edit in answer.json()["edits"]]
    assert [job.model for job in jobs] == [job.spec.model for job in jobs] == [first, "tiny", first]


def test_an_inversion_without_a_model_is_one_for_the_first(parts, first, client):
    files = {"image": ("photo.png", file_of(halves()), "image/png")}
    upload = client.post("/v1/images", files=files).json()["id"]
    source = {"prompt": "a cat on the beach", "image": {"upload": upload}}

    job = job_of(parts, client.post("/v1/inversions", json={"source": source}))

    assert (job.model, job.spec.model) == (first, first)


def test_words_are_aligned_for_the_first_model_where_none_is_named(first, client):
    answer = client.post("/v1/alignments", json={"source": {"prompt": "a cat"}, "targets": [{"prompt": "a dog"}]})

    assert answer.json()["model"] == first


def test_the_first_model_s_defaults_and_limits_hold(parts, first, client):
    model = parts.plane.catalogue[first]
    parts.plane.catalogue[first] = model.model_copy(update={"defaults": model.defaults.model_copy(update={"steps": 7})})

    assert job_of(parts, client.post("/v1/edits", json=EDIT)).spec.sampling.steps == 7
    problem = client.post("/v1/edits", json={**EDIT, "sampling": {"steps": 401}}).json()
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/sampling/steps", "too_many_steps")]
    assert first in problem["errors"][0]["detail"]


def test_a_request_sent_again_with_the_first_model_s_name_is_the_same_request(parts, first, client):
    headers = {"Idempotency-Key": "once"}
    job = job_of(parts, client.post("/v1/edits", json=EDIT, headers=headers))

    again = client.post("/v1/edits", json={**EDIT, "model": first}, headers=headers)

    assert (again.json()["id"], again.headers["Idempotency-Replayed"]) == (job.id, "true")
    other = client.post("/v1/edits", json={**EDIT, "model": "tiny"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_job_is_never_made_without_a_model(parts):
    with pytest.raises(ValueError, match=r"set `spec\.model`"):
        new_job(EditSpec.model_validate(EDIT), lifetime=parts.plane.job_lifetime)


def test_an_unknown_model_is_refused_with_those_that_there_are(first, client):
    problem = client.post("/v1/edits", json={**EDIT, "model": "scenes"}).json()

    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == ("/model", "unknown_model")
    assert first in error["detail"]


def test_the_models_file_says_which_is_first(tiny_models):
    head, *tables = tiny_models.read_text(encoding="utf-8").split("[[models]]")
    file = tiny_models.parent / "reversed.toml"
    file.write_text(head + "".join(f"[[models]]{table}" for table in reversed(tables)), encoding="utf-8")

    catalogue = load_catalogue(file)

    assert known_model(None, catalogue).id == next(iter(catalogue)) == "tiny-third"
