"""`python -m stack.demo`: starts everything, edits two pictures over HTTP, and leaves it all in demo/.

The first picture is generated and edited three ways. The second is a file, as a photo would be: sent, inverted, edited
two ways, and brought back to its own size.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import httpx

from jobs.catalogue import load_catalogue
from jobs.errors import InvalidCatalogue
from process.interruption import Interrupted, interruptible, look, pause
from stack.patience import ANSWER, PATIENCE
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
    "sampling": {"seed": 2},
}

#: Wider than the model draws, so that what is outside of its square can be seen to stay. Drawn by `scenes.render`: a
#: cat in the snow, the layout of seed 30, and its edges 16 pixels further to either side.
PHOTO = Path(__file__).with_name("photo.png")
SOURCE_OF_PHOTO = "a cat in the snow"
EDIT_OF_PHOTO = {
    "targets": [
        {
            "prompt": "a dog in the snow",
            "edits": [{"kind": "replace"}],
            "local_blend": {"words": [{"word": "dog"}]},
        },
        {
            "prompt": "a purple cat in the snow",
            "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": [{"word": "purple", "weight": 3}]}],
            "local_blend": {"words": [{"word": "cat"}]},
        },
    ],
    "sampling": {"seed": 0},
}

#: Seconds between two looks at the job.
INTERVAL = 0.2


def main() -> None:
    """Run the demo; exits with 1 where the job does not succeed."""
    parser = argparse.ArgumentParser(prog="python -m stack.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="where the results go")
    parser.add_argument("--models-file", type=Path, default=Path("models.toml"))
    parser.add_argument("--model", help="its first if absent")
    arguments = parser.parse_args()
    print("starting Redis, the API and a worker ...", flush=True)
    try:
        model = arguments.model or next(iter(load_catalogue(arguments.models_file)))
        with (
            interruptible(),
            tempfile.TemporaryDirectory(prefix="p2p-demo-") as folder,
            stack(Path(folder), {model: 1}, models_file=arguments.models_file) as started,
        ):
            _run(started, model, arguments.out)
    except (InvalidCatalogue, NotStarted, httpx.HTTPError) as error:
        sys.exit(f"the demo failed: {error}")
    except Interrupted as interrupted:
        print(interrupted)
        sys.exit(interrupted.status)


def _run(started: Stack, model: str, out: Path) -> None:
    with httpx.Client(base_url=started.url, timeout=ANSWER) as client:
        sheet = _edited(client, started, {**EDIT, "model": model}, out)
        image = _sent(client, PHOTO)
        source = {"prompt": SOURCE_OF_PHOTO, "image": {"upload": image}}
        of_photo = _edited(client, started, {**EDIT_OF_PHOTO, "model": model, "source": source}, out / "photo")
    shutil.copy(PHOTO, out / "photo" / "photo.png")
    print(f"done: look at {sheet} and {of_photo}; pictures, heat maps, raw maps, manifest and job.json are beside them")


def _edited(client: httpx.Client, started: Stack, edit: dict, out: Path) -> Path:
    """Runs an edit to its end and downloads it; gives its sheet."""
    job = _finished(client, started, _posted(client, edit))
    if job["status"] != "succeeded":
        raise NotStarted(f"the job ended {job['status']}: {json.dumps(job['error'])}")
    if said := job["reconstruction"]:
        print(
            f"the photo comes back with {_decibels(said['psnr'])} PSNR and {said['ssim']:.3f} SSIM; "
            f"the autoencoder alone gives {_decibels(said['autoencoder_psnr'])} and {said['autoencoder_ssim']:.3f}"
        )
    _download(client, job, out)
    return draw_sheet(out, job)


def _decibels(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.1f} dB"


def _sent(client: httpx.Client, photo: Path) -> str:
    """Sends a picture and gives its id."""
    response = client.post("/v1/images", files={"image": (photo.name, photo.read_bytes())})
    if response.is_error:
        raise NotStarted(f"the photo was refused:\n{json.dumps(response.json(), indent=2)}")
    print(f"POST /v1/images -> {response.status_code} {response.headers['Location']}", flush=True)
    return response.json()["id"]


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
