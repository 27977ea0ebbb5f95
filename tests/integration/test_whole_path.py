"""From a POST to pictures on disk, over HTTP, through Redis and worker processes."""

import io
import json
import time

import numpy as np
import redis
from PIL import Image

from jobs.redis import keys
from stack.demo import EDIT
from stack.processes import python, running
from tests.patience import PATIENCE


def test_an_edit_becomes_pictures_maps_and_a_manifest(api, post, until):
    job = until(post(steps=4, seed=1))

    assert job["status"] == "succeeded", job["error"]
    assert job["progress"] == {"step": 4, "steps": 4}
    artifacts = {artifact["name"]: artifact for artifact in job["artifacts"]}
    files = {name: api.get(artifact["url"]).raise_for_status().content for name, artifact in artifacts.items()}
    assert {name: len(data) for name, data in files.items()} == {
        name: artifact["bytes"] for name, artifact in artifacts.items()
    }

    pictures = [np.asarray(Image.open(io.BytesIO(files[f"{n}.png"]))) for n in ("source", "edit-1", "edit-2")]
    assert {picture.shape for picture in pictures} == {(32, 32, 3)}
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])

    words = [a["word"] for a in job["artifacts"] if a["kind"] == "heatmap" and a["picture"] == 1]
    assert words == ["a", "dog", "on", "the", "beach"]
    with np.load(io.BytesIO(files["maps.npz"])) as maps:
        assert maps["edit-1.words"].tolist() == words
        assert maps["edit-1"].shape[0] == len(words)
        assert np.isfinite(maps["edit-1"]).all()

    manifest = json.loads(files["manifest.json"])
    assert manifest["job"] == job["id"]
    assert manifest["spec"] == job["spec"]
    assert manifest["model"]["revision"].startswith("sha256:")


def test_the_manifests_spec_posted_again_gives_the_same_pictures(api, post, until):
    first = until(post(steps=3, seed=9))
    second = until(api.post("/v1/edits", json=first["spec"]).headers["Location"])

    for a, b in zip(first["artifacts"], second["artifacts"], strict=True):
        if a["kind"] in {"image", "heatmap"}:
            assert api.get(a["url"]).content == api.get(b["url"]).content, a["name"]


def test_several_seeds_of_one_edit_are_the_edits_of_each_seed(api, post, until):
    alone = {seed: until(post(steps=3, seed=seed)) for seed in (4, 9)}
    spec = alone[4]["spec"]
    targets, sampling = spec["targets"][:1], {**spec["sampling"], "seed": 0, "seeds": [9, 4]}
    several = until(api.post("/v1/edits", json={**spec, "targets": targets, "sampling": sampling}).headers["Location"])

    assert several["status"] == "succeeded", several["error"]
    assert manifest(api, several)["seeds"] == [{"seed": 9, "source": "generated"}, {"seed": 4, "source": "generated"}]
    images = {a["name"]: a["seed"] for a in several["artifacts"] if a["kind"] == "image"}
    assert images == {"seed-9/source.png": 9, "seed-9/edit-1.png": 9, "seed-4/source.png": 4, "seed-4/edit-1.png": 4}
    for name, seed in images.items():
        one, other = (
            np.asarray(Image.open(io.BytesIO(fetched(api, job, of))))
            for job, of in ((several, name), (alone[seed], name.partition("/")[2]))
        )
        # What shares the batch changes a picture by rounding alone, which may tip a level of 256.
        assert np.abs(one.astype(int) - other).max() <= 1
    again = until(api.post("/v1/edits", json=several["spec"]).headers["Location"])
    assert again["status"] == "succeeded"


def test_a_source_that_is_kept_is_taken_up_by_later_edits_of_it(api, post, until):
    first = until(post(steps=4, seed=31))
    spec = first["spec"]
    keeping = until(api.post("/v1/edits", json=spec | {"artifacts": {"trajectory": True}}).headers["Location"])
    later = until(api.post("/v1/edits", json=spec).headers["Location"])

    assert [manifest(api, job)["source"] for job in (first, keeping, later)] == ["generated", "generated", "kept"]
    assert "trajectory.safetensors" in {artifact["name"] for artifact in keeping["artifacts"]}
    for name in ("source.png", "edit-1.png", "edit-2.png"):
        generated, kept = (np.asarray(Image.open(io.BytesIO(fetched(api, job, name)))) for job in (first, later))
        # rounding, which may tip a level of 256
        assert np.abs(generated.astype(int) - kept).max() <= 1


def fetched(api, job: dict, name: str) -> bytes:
    (url,) = (artifact["url"] for artifact in job["artifacts"] if artifact["name"] == name)
    return api.get(url).raise_for_status().content


def manifest(api, job: dict) -> dict:
    return json.loads(fetched(api, job, "manifest.json"))


def test_a_batch_is_worked_off_by_all_workers_and_waited_for_as_one(api, post):
    edit = {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
        "sampling": {"steps": 2},
    }
    other = {**edit, "model": "tiny-too"}

    address = api.post("/v1/batches", json={"edits": [edit, other, edit]}).headers["Location"]

    while (batch := api.get(address, params={"wait": 20}).raise_for_status().json())["status"] == "active":
        pass
    assert batch["counts"]["succeeded"] == 3
    models = [api.get(one["links"]["self"]).json()["model"] for one in batch["edits"]]
    assert models == ["tiny", "tiny-too", "tiny"]


def test_ten_jobs_are_shared_by_two_workers(served, post, until):
    client = redis.Redis.from_url(served.redis_url, decode_responses=True)

    def finished() -> dict[str, int]:
        workers = client.smembers("rq:workers:edits:tiny")
        return {worker: int(client.hget(worker, "successful_job_count") or 0) for worker in workers}

    before = finished()
    addresses = [post(steps=25, seed=seed) for seed in range(10)]
    jobs = [until(address) for address in addresses]
    # RQ counts a job after the record says that it is finished: one more job a worker settles that.
    while sum((after := finished()).values()) - sum(before.values()) < 10:
        until(post(steps=1))
    client.close()

    assert {job["status"] for job in jobs} == {"succeeded"}
    assert len(before) == 2
    # How many each takes is up to the machine.
    assert min(after[worker] - before[worker] for worker in before) >= 1


def test_a_second_model_is_served_through_the_models_file_alone(api, post, until):
    job = until(post("tiny-too", steps=2))

    assert (job["status"], job["model"]) == ("succeeded", "tiny-too")
    assert api.get("/readyz").json()["models"] == {
        "tiny": {"workers": 2},
        "tiny-too": {"workers": 1},
        "tiny-third": {"workers": 0},
    }


def test_a_job_that_fails_inside_says_why_and_the_worker_goes_on(post, until):
    failed = until(post("tiny-too", source="a cat on the zyzzyva zyzzyva zyzzyva"))
    after = until(post("tiny-too", steps=2))

    assert (failed["status"], failed["error"]["code"]) == ("failed", "prompt_too_long")
    assert failed["artifacts"] == []
    assert failed["finished_at"]
    assert after["status"] == "succeeded"


def test_a_queued_job_can_be_canceled_and_never_runs(api, post, until):
    address = post("tiny-third")

    first, second = api.post(f"{address}/cancel"), api.post(f"{address}/cancel")

    assert (first.status_code, second.status_code) == (200, 200)
    assert until(address)["status"] == "canceled"


def test_a_job_canceled_while_it_waits_behind_another_is_passed_over(api, post, until):
    running_one, waiting = post("tiny-too", steps=150), post("tiny-too", steps=2)
    until(running_one, "running")

    canceled = api.post(f"{waiting}/cancel")

    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    assert until(running_one)["status"] == "succeeded"
    assert until(post("tiny-too", steps=1))["status"] == "succeeded"
    assert api.get(waiting).json()["attempt"] == 0


def test_a_running_job_that_is_canceled_frees_its_worker_for_the_next(api, post, until):
    long, after = post("tiny-too", steps=400), post("tiny-too", steps=2)
    until(long, "running")

    canceled = api.post(f"{long}/cancel")

    assert (canceled.status_code, canceled.json()["cancel_requested"]) == (202, True)
    ended = until(long)
    assert (ended["status"], ended["artifacts"]) == ("canceled", [])
    assert ended["progress"]["step"] < 400
    assert until(after)["status"] == "succeeded"


def test_an_erased_job_is_gone_with_its_pictures(api, post, until):
    address = post(steps=1)
    assert api.delete(address).status_code in {409}
    url = until(address)["artifacts"][0]["url"]

    assert api.delete(address).status_code == 204

    assert api.get(address).status_code == 404
    assert api.get(url).status_code == 404


def test_the_record_of_the_demos_job_is_small(served, api, until):
    address = api.post("/v1/edits", json={**EDIT, "model": "tiny"}).headers["Location"]
    job_id = address.split("/")[-1]
    until(address, "succeeded")

    with redis.Redis.from_url(served.redis_url, decode_responses=True) as client:
        while list(client.scan_iter(f"rq:job:{job_id}*")):  # RQ forgets its message a moment later
            time.sleep(0.05)
        names = [key for key in client.scan_iter(f"*{job_id}*") if key != keys.events(job_id)]
        # All fields: by default Redis weighs five, which its hash seed chooses, and takes the others to be alike.
        in_all = sum(client.memory_usage(key, samples=0) for key in names)
        events = client.xrange(keys.events(job_id))

    assert in_all <= 4096
    assert len(events) <= 256
    assert all(len(json.dumps(fields)) <= 128 for _, fields in events)


def test_a_worker_told_to_stop_finishes_its_job_first(as_users_start_it, served, post, until, tmp_path):
    command = python("-m", "worker", "--model", "tiny-third")
    address = post("tiny-third", steps=150)
    # By default a worker gives its job back after 25 seconds, and beside six busy processes it may need more.
    environment = {**served.environment, "GRACE": str(PATIENCE)}
    with running("worker", command, tmp_path / "worker.log", environment) as worker:
        until(address, "running")
        worker.terminate()
        status = worker.wait(PATIENCE)

    assert until(address)["status"] == "succeeded"
    assert status == 0, (tmp_path / "worker.log").read_text()


def test_nothing_in_redis_stays_for_ever(served, post, until):
    until(post(steps=1))
    address = post("tiny-third")

    with redis.Redis.from_url(served.redis_url, decode_responses=True) as client:
        kept = {key for key in client.scan_iter("*") if client.ttl(key) == -1}

    # RQ's sets of queues, workers and groups and its lists of waiting ids: as many as there are models.
    fixed = ("rq:queues", "rq:queue:", "rq:workers", "rq:groups")
    assert {key for key in kept if not key.startswith(fixed)} == set()
    assert f"job:{address.split('/')[-1]}" not in kept


def test_bad_input_is_refused_over_the_wire_too(api):
    assert api.post("/v1/edits", content=b"{").json()["code"] in {"not_json", "unsupported_media_type"}
    assert api.post("/v1/edits", json={"pad": "x" * 300_000}).status_code == 413
    assert api.get("/v1/edits/nobody").json()["code"] == "job_not_found"


def test_an_artifacts_url_cannot_be_bent(api, post, until):
    url = until(post(steps=1))["artifacts"][0]["url"]

    assert api.get(url).is_success
    assert api.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403
    assert api.get(url.replace("/jobs/", "/jobs/..%2f..%2f..%2f")).status_code == 403
