"""`python -m stack`: the whole service on this machine, until Ctrl-C."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from jobs.catalogue import load_catalogue
from jobs.errors import InvalidCatalogue
from process.interruption import Interrupted, interruptible, pause
from process.settings import settings_or_exit
from service.settings import Settings
from stack.processes import NotStarted
from stack.services import stack

_CURL = """curl -s {url}/v1/edits -H 'Content-Type: application/json' -d '{{
  "model": "{model}",
  "source": {{"prompt": "a cat on a beach"}},
  "targets": [{{"prompt": "a dog on a beach", "edits": [{{"kind": "replace"}}]}}],
  "sampling": {{"seed": 2}}
}}'"""


def main() -> None:
    """Start, say where, stay."""
    settings = settings_or_exit(Settings)
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="workers of each model")
    parser.add_argument("--folder", type=Path, default=Path("data"), help="where logs, jobs and artifacts are kept")
    arguments = parser.parse_args()
    try:
        models = tuple(load_catalogue(settings.models_file))
        workers = dict.fromkeys(models, arguments.workers)
        with (
            suppress(Interrupted),
            interruptible(),
            stack(
                arguments.folder, workers, models_file=settings.models_file, port=settings.port, keep=True
            ) as started,
        ):
            print(f"serving {', '.join(models)} at {started.url} (logs in {started.folder}/, Ctrl-C stops)\n")
            print(_CURL.format(url=started.url, model=models[0]))
            if started.redis_url.startswith("unix:///"):  # nobody else can open it, and no password is in it
                print(f"\nfor `python -m admin`: export REDIS_URL='{started.redis_url}'")
            sys.stdout.flush()
            while True:
                started.check()
                pause(1)
    except (NotStarted, InvalidCatalogue) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
