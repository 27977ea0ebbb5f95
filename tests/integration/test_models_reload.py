"""The models file is read again while the API serves: real processes, a real Redis, a real worker."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import torch
from safetensors.torch import save_file

from stack.ports import free_port
from stack.processes import python, running
from stack.services import Stack, stack
from tests import families, lora_files, single_file, tiny
from tests.declared import declared as declaration
from tests.integration.conftest import waiter
from tests.patience import ANSWER, eventually

TINY = declaration("tiny", max_steps=400)
WRONG = {
    "no TOML": "[[models",
    "no model": "",
    "an unknown field": TINY + "colour = 1\n",
    "no tokenizer": TINY + declaration("odd", max_steps=400).replace('"model"', '"gone"'),
    "a word that is none": TINY + 'embeddings = [{ path = "gone.safetensors", token = "<x>" }]\n',
}


@pytest.fixture(scope="module")
def models_file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny.save(folder / "model")
    file = folder / "models.toml"
    file.write_text(TINY)
    return file


@pytest.fixture(scope="module")
def served(models_file, tmp_path_factory) -> Iterator[Stack]:
    """The API, which looks at its models file ten times a second, and a worker of "tiny"."""
    settings = {"OMP_NUM_THREADS": "1", "MODELS_FILE_SECONDS": "0.1"}
    with stack(tmp_path_factory.mktemp("stack"), {"tiny": 1}, models_file=models_file, settings=settings) as started:
        yield started


@contextmanager
def another_api(served: Stack, tmp_path: Path, **settings: str) -> Iterator[tuple[str, object]]:
    """A second API process over the same Redis and models file; its address and its process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**served.environment, "PORT": str(port), "PUBLIC_URL": url, **settings}
    with running("api", python("-m", "service"), tmp_path / "api.log", environment) as process:
        until(lambda: answers(url))
        yield url, process


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=ANSWER).is_success
    except httpx.TransportError:
        return False


def until(happened: Callable[[], object]) -> None:
    assert eventually(happened)


def offered(url: str) -> list[str]:
    return [model["id"] for model in httpx.get(f"{url}/v1/models", timeout=ANSWER).raise_for_status().json()["models"]]


def metric(url: str, name: str) -> float:
    lines = httpx.get(f"{url}/metrics", timeout=ANSWER).text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def replaced(file: Path, text: str) -> None:
    """As an editor or a deployment does it: whole, at once."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, file)


def body(model: str) -> dict:
    return {
        "model": model,
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    }


@pytest.fixture(autouse=True)
def _as_before(models_file, served):
    yield
    replaced(models_file, TINY)
    until(lambda: offered(served.url) == ["tiny"] and not metric(served.url, "p2p_models_file_refused"))


def test_a_new_model_is_offered_by_every_api_and_served_once_it_has_a_worker(served, models_file, tmp_path):
    with (
        another_api(served, tmp_path) as (other, _),
        httpx.Client(base_url=served.url, timeout=ANSWER) as api,
    ):
        before = api.post("/v1/edits", json=body("late"))

        replaced(models_file, TINY + declaration("late", max_steps=400))

        for url in (served.url, other):
            until(lambda url=url: offered(url) == ["tiny", "late"])
        assert before.status_code == 422
        early = api.post("/v1/edits", json=body("late"))
        assert early.status_code == 202, early.text
        assert api.get("/readyz").json()["models"].keys() == {"tiny", "late"}
        assert 'p2p_jobs_waiting{model="late"} 1.0' in api.get("/metrics").text
        with running("worker", python("-m", "worker", "--model", "late"), tmp_path / "worker.log", served.environment):
            assert waiter(api)(early.headers["Location"])["status"] == "succeeded"


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_file_leaves_what_was_offered_in_force(served, models_file, text):
    refused = metric(served.url, 'p2p_models_file_reloads_total{result="refused"}')
    logged = (served.folder / "api.log").read_text().count("what was offered before stays")

    replaced(models_file, text)

    until(lambda: metric(served.url, 'p2p_models_file_reloads_total{result="refused"}') > refused)
    assert metric(served.url, "p2p_models_file_refused") == 1
    assert offered(served.url) == ["tiny"]
    assert httpx.get(f"{served.url}/readyz", timeout=ANSWER).status_code == 200
    assert (served.folder / "api.log").read_text().count("what was offered before stays") == logged + 1
    with httpx.Client(base_url=served.url, timeout=ANSWER) as api:
        posted = api.post("/v1/edits", json=body("tiny"))
        assert waiter(api)(posted.headers["Location"])["status"] == "succeeded"


def test_a_file_that_is_gone_leaves_what_was_offered_in_force(served, models_file):
    models_file.unlink()

    until(lambda: metric(served.url, "p2p_models_file_refused") == 1)
    assert offered(served.url) == ["tiny"]


def test_jobs_of_a_model_that_is_taken_out_are_kept_and_done(served, models_file, tmp_path):
    replaced(models_file, TINY + declaration("leaving", max_steps=400))
    until(lambda: offered(served.url) == ["tiny", "leaving"])
    with httpx.Client(base_url=served.url, timeout=ANSWER) as api:
        posted = api.post("/v1/edits", json=body("leaving"))
        both = (models_file.parent / "both.toml").absolute()
        shutil.copy(models_file, both)

        replaced(models_file, TINY)

        until(lambda: offered(served.url) == ["tiny"])
        refused = api.post("/v1/edits", json=body("leaving"))
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/model")
        assert api.get(posted.headers["Location"]).json()["status"] == "queued"
        # A worker that still has it: one that was started before reads the file no more.
        environment = {**served.environment, "MODELS_FILE": str(both)}
        with running("worker", python("-m", "worker", "--model", "leaving"), tmp_path / "worker.log", environment):
            assert waiter(api)(posted.headers["Location"])["status"] == "succeeded"


def test_a_hangup_has_the_file_read_at_once_and_ends_nothing(served, models_file, tmp_path):
    """Without looks at the file; also where the file itself is as it was, for files that it names may have changed."""
    with another_api(served, tmp_path, MODELS_FILE_SECONDS="0") as (url, process):
        replaced(models_file, TINY + declaration("late", max_steps=400))
        until(lambda: offered(served.url) == ["tiny", "late"])
        assert offered(url) == ["tiny"]  # it does not look by itself

        process.send_signal(signal.SIGHUP)

        until(lambda: offered(url) == ["tiny", "late"])
        process.send_signal(signal.SIGHUP)
        until(lambda: metric(url, 'p2p_models_file_reloads_total{result="used"}') == 2)
        assert process.poll() is None
        assert "was read again: new: late" in (tmp_path / "api.log").read_text()


#: Per family the tensors of a textual inversion, with their widths.
LEARNED = {"stable_diffusion": {"emb_params": 16}, "stable_diffusion_xl": {"clip_l": 16, "clip_g": 32}}


@pytest.mark.parametrize("family", families.able("single files"))
def test_a_single_file_with_a_lora_and_a_learned_word_is_added_and_edited(served, models_file, tmp_path, family):
    """All that a declaration may name, from the models file to a picture over HTTP."""
    folder, pipeline = models_file.parent / family, families.PIPELINES[family]()
    pipeline.save_pretrained(folder / "model")
    single_file.save(pipeline, folder / "painter.safetensors")
    lora_files.saved(folder / "lora.safetensors", lora_files.trained(pipeline))
    drawn = torch.Generator().manual_seed(0)
    vectors = {name: torch.randn(2, width, generator=drawn) for name, width in LEARNED[family].items()}
    save_file(vectors, folder / "toy.safetensors")
    declared = declaration(family, max_steps=400).replace('family = "stable_diffusion"', f'family = "{family}"')
    files = f'path = "{family}/painter.safetensors"\nconfig = "{family}/model"'
    declared = declared.replace('path = "model"', files)
    declared += f'loras = [{{ path = "{family}/lora.safetensors", weight = 0.5 }}]\n'
    declared += f'embeddings = [{{ path = "{family}/toy.safetensors", token = "<cat-toy>" }}]\n'
    replaced(models_file, TINY + declared)
    until(lambda: offered(served.url) == ["tiny", family])
    worker = python("-m", "worker", "--model", family)
    weights = [{"word": "<cat-toy>", "weight": 4}]
    targets = [
        {"prompt": "a <cat-toy> on the beach", "edits": [{"kind": "refine"}]},
        {"prompt": "a <cat-toy> on the beach", "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": weights}]},
    ]

    with (
        httpx.Client(base_url=served.url, timeout=ANSWER) as api,
        running("worker", worker, tmp_path / "worker.log", served.environment),
    ):
        assert api.get("/v1/models").json()["models"][1]["learned_words"] == ["<cat-toy>"]
        posted = api.post("/v1/edits", json={**body(family), "targets": targets})
        assert posted.status_code == 202, posted.text
        assert posted.json()["notices"] == []
        job = waiter(api)(posted.headers["Location"])
        assert job["status"] == "succeeded", job["error"]
        pictures = [api.get(each["url"]).content for each in job["artifacts"] if each["kind"] == "image"]
        mapped = [each["word"] for each in job["artifacts"] if each["kind"] == "heatmap" and each["picture"] == 1]
        (manifest,) = [api.get(each["url"]).json() for each in job["artifacts"] if each["name"] == "manifest.json"]

    assert len(set(pictures)) == 3  # the word turned up is another picture
    assert "cat-toy" in mapped
    words = {each["word"]: each["tokens"] for each in manifest["prompts"][1]["words"]}
    assert words["cat-toy"] == [2, 3]
    assert manifest["model"]["revision"].count("+") == 1
