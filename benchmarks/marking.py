"""`python -m benchmarks.marking`: what Content Credentials cost a picture, in milliseconds and bytes, as JSON.

It signs with a key and certificates that it makes. Times are medians.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from jobs.provenance import GENERATED
from tools.certificates import made_chain
from worker.credentials import Statement, load_credentials
from worker.encoding import ENCODINGS, encoded


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marking", description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="side of the picture")
    parser.add_argument("--pictures", type=int, default=50, help="how many are signed of each format")
    arguments = parser.parse_args()
    side = arguments.size
    # A smooth picture with some noise: neither the easiest file nor the largest.
    noise = np.random.default_rng(0).normal(0, 4, (side, side, 3))
    slope = np.linspace(0, 200, side)[:, None, None]
    picture = Image.fromarray((slope + noise).clip(0, 255).astype(np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        credentials = load_credentials(made_chain().setting(Path(folder)))
    assert credentials is not None
    statement = Statement(title="edit-1", source_type=GENERATED, job="0" * 32, manifest_digest="0" * 64)
    found = {}
    for name, encoding in ENCODINGS.items():
        plain, marked = encoded(picture, encoding), encoded(picture, encoding, GENERATED)
        times, signed = [], b""
        for _ in range(arguments.pictures):
            began = time.perf_counter()
            signed = credentials.signed(marked, encoding.content_type, statement)
            times.append(1000 * (time.perf_counter() - began))
        found[name] = {
            "bytes": len(plain),
            "more_bytes_by_xmp": len(marked) - len(plain),
            "more_bytes_by_credentials": len(signed) - len(marked),
            "more_ms_by_credentials": round(statistics.median(times), 2),
        }
    print(json.dumps({"size": side, "formats": found}, indent=2))


if __name__ == "__main__":
    main()
