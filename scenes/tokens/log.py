"""What a training says of itself: one JSON object a line, printed and kept in the run's folder."""

import json
import time
from pathlib import Path


class Log:
    """Writes lines of one part of the training, `part`, to `folder/log.jsonl`."""

    def __init__(self, folder: Path, part: str) -> None:
        self.path, self.part = folder / "log.jsonl", part

    def __call__(self, **facts: object) -> None:
        rounded = {name: round(v, 4) if isinstance(v, float) else v for name, v in facts.items()}
        line = json.dumps({"part": self.part, "at": round(time.time()), **rounded})
        print(line, flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
