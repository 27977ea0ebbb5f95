"""`python -m stack.demo`: starts everything, edits one picture three ways over HTTP, and leaves it all in demo/."""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import httpx

from service.jobs.interruption import Interrupted, interruptible, look, pause
from stack.processes import NotStarted
from stack.services import Stack, stack
from stack.sheet import draw_sheet

MODEL = "scenes"
SOURCE = "a cat on a beach"
EDIT = {
    "model": MODEL,
    "source": {"prompt": SOURCE},
    "targets": [
        # The word swap: only what the cat covered, and what the dog covers, may change.
        {
            "prompt": "a dog on a beach",
            "edits": [{"kind": "replace"}],
            "local_blend": {"words": [{"word": "dog"}]},
        },
        # The refinement: the words that both prompts share keep their places.
        {"prompt": "a cat on a beach at night", "edits": [{"kind": "refine"}]},
        # The reweighting of a word that a refinement brought in.
        {
            "prompt": "a purple cat on a beach",
            "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": [{"word": "purple", "weight": 3}]}],
        },
    ],
    "sampling": {"seed": 4},
}

#: Seconds between two looks at the job, and how long it may take in all.
INTERVAL, PATIENCE = 0.2, 270


def main() -> None:
    """Run the demo; exits with 1 where the job does not succeed."""
    parser = argparse.ArgumentParser(prog="python -m stack.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="where the results go")
    parser.add_argument("--models-file", type=Path, default=Path("models.toml"))
    parser.add_argument("--model", default=MODEL)
    arguments = parser.parse_args()
    print("starting Redis, the API and a worker ...", flush=True)
    try:
        with (
            interruptible(),
            tempfile.TemporaryDirectory(prefix="p2p-demo-") as folder,
            stack(Path(folder), {arguments.model: 1}, models_file=arguments.models_file) as started,
        ):
            _run(started, {**EDIT, "model": arguments.model}, arguments.out)
    except (NotStarted, httpx.HTTPError) as error:
        sys.exit(f"the demo failed: {error}")
    except Interrupted as interrupted:
        print(interrupted)
        sys.exit(interrupted.status)


def _run(started: Stack, edit: dict, out: Path) -> None:
    with httpx.Client(base_url=started.url, timeout=30) as client:
        job = _finished(client, started, _posted(client, edit))
        if job["status"] != "succeeded":
            raise NotStarted(f"the job ended {job['status']}: {json.dumps(job['error'])}")
        _download(client, job, out)
    sheet = draw_sheet(out, job)
    print(f"done: look at {sheet}; the pictures, heat maps, raw maps, manifest and job.json are beside it")


def _posted(client: httpx.Client, edit: dict) -> str:
    response = client.post("/v1/edits", json=edit)
    if response.is_error:
        raise NotStarted(f"the edit was refused:\n{json.dumps(response.json(), indent=2)}")
    print(f"POST /v1/edits -> {response.status_code} {response.headers['Location']}", flush=True)
    return response.headers["Location"]


def _finished(client: httpx.Client, started: Stack, address: str) -> dict:
    """The job once it has ended; shows meanwhile how far it is, on one line of a terminal."""
    deadline, shown = time.monotonic() + PATIENCE, ""
    while time.monotonic() < deadline:
        started.check()
        job = client.get(address).raise_for_status().json()
        line = _progress(job)
        if line != shown:
            print(f"\r{line}" if sys.stdout.isatty() else line, end="" if sys.stdout.isatty() else "\n", flush=True)
            shown = line
        if job["status"] not in {"queued", "running"}:
            if sys.stdout.isatty():
                print()
            return job
        pause(INTERVAL)
    raise NotStarted(f"the job did not end within {PATIENCE} s")


def _progress(job: dict) -> str:
    done = job["progress"] or {"step": 0, "steps": job["spec"]["sampling"]["steps"]}
    filled = 30 * done["step"] // done["steps"]
    return f"{job['status']:<9} [{'#' * filled}{'.' * (30 - filled)}] {done['step']:>3}/{done['steps']} steps"


def _download(client: httpx.Client, job: dict, out: Path) -> None:
    """Everything that the job left, under its own names; what an earlier demo left goes."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "job.json").write_text(json.dumps(job, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for artifact in job["artifacts"]:
        look()
        path = out / artifact["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(client.get(artifact["url"]).raise_for_status().content)


if __name__ == "__main__":
    main()
