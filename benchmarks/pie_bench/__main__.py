"""`python -m benchmarks.pie_bench --data DIR --model ID`: edits PIE-Bench and measures it by the published protocol.

What is required and which quirks are followed: docs/quality.md. `--quick` edits one item of each type in four steps:
that it runs, and nothing about quality.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from benchmarks.pie_bench.editing import CROSS, GUIDANCE_SCALE, SELF, STEPS, edited, with_published_timesteps
from benchmarks.pie_bench.mapping import TYPES, InvalidSet, Item, items
from benchmarks.pie_bench.measuring import METRICS, Networks, means, measured
from jobs.catalogue import load_catalogue
from p2p.errors import PromptTooLong
from p2p.families.stable_diffusion import StableDiffusion
from p2p.inversion import DEFAULT, INVERSIONS
from p2p.layouts.model_files import ModelFiles

QUICK_STEPS = 4


def main() -> None:
    arguments = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = list(_wanted(items(arguments.data), arguments.types, quick=arguments.quick))
        if not wanted:
            sys.exit(f"{arguments.data} has no item of the types {' '.join(arguments.types)}")
        networks = Networks.load(
            clip=arguments.clip,
            dino=arguments.dino,
            squeezenet=arguments.squeezenet,
            lpips=arguments.lpips,
            device=device,
        )
        family = _family(arguments.model, arguments.models_file, device)
    except (InvalidSet, OSError, ValueError) as error:
        sys.exit(str(error))
    steps = QUICK_STEPS if arguments.quick else STEPS
    rows: dict[str, list[dict[str, float | None]]] = defaultdict(list)
    skipped: Counter[str] = Counter()
    for number, item in enumerate(wanted, 1):
        print(f"{number} of {len(wanted)}: {item.id}", file=sys.stderr)
        try:
            picture = edited(item, family, method=arguments.method, steps=steps)
        except PromptTooLong:
            skipped["prompt_too_long"] += 1
            continue
        if arguments.keep:
            place = arguments.keep / f"{item.id}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            picture.save(place)
        row = measured(item, picture, networks)
        rows[item.type_id].append(row)
        skipped.update(f"no_{name}" for name in METRICS if row[name] is None)
    of_all = [row for of_type in rows.values() for row in of_type]
    report = {
        "items": len(of_all),
        "model": {"id": arguments.model, "revision": family.revision},
        "networks": {"clip": arguments.clip, "dino": arguments.dino},
        "settings": {
            "inversion": arguments.method,
            "steps": steps,
            "guidance_scale": GUIDANCE_SCALE,
            "cross": CROSS,
            "self": SELF,
        },
        "skipped": dict(skipped),
        "metrics": means(of_all),
        "by_type": {TYPES.get(kind, kind): {"items": len(of), **means(of)} for kind, of in sorted(rows.items())},
    }
    print(json.dumps(report))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pie_bench", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds mapping_file.json and annotation_images/")
    parser.add_argument("--model", required=True, help="an id of the models file, a diffusers directory or a hub id")
    parser.add_argument("--models-file", type=Path, default=Path("models.toml"))
    parser.add_argument("--clip", default="openai/clip-vit-large-patch14", help="directory or hub id")
    parser.add_argument("--dino", default="facebook/dino-vitb8", help="directory or hub id of a ViTModel")
    parser.add_argument("--squeezenet", type=Path, required=True, help="torchvision's squeezenet1_1-b8a52dc0.pth")
    parser.add_argument("--lpips", type=Path, required=True, help="squeeze.pth of the lpips package, version 0.1")
    parser.add_argument("--method", choices=INVERSIONS, default=DEFAULT, help="how pictures are inverted")
    parser.add_argument("--types", nargs="+", choices=TYPES, default=list(TYPES), help="editing_type_ids; all of them")
    parser.add_argument("--keep", type=Path, help="directory for the edited pictures")
    parser.add_argument("--quick", action="store_true", help="one item of each type, four steps")
    return parser.parse_args()


def _wanted(found: Iterable[Item], types: list[str], *, quick: bool) -> Iterator[Item]:
    seen: set[str] = set()
    for item in found:
        if item.type_id in types and not (quick and item.type_id in seen):
            seen.add(item.type_id)
            yield item


def _family(model: str, models_file: Path, device: torch.device) -> StableDiffusion:
    """In float32, as the published figures are."""
    declared = load_catalogue(models_file).get(model) if models_file.exists() else None
    files = ModelFiles(model) if declared is None else ModelFiles.of(declared)
    family = StableDiffusion.load(files, device=str(device), dtype=torch.float32)
    return with_published_timesteps(family)


if __name__ == "__main__":
    with torch.no_grad():
        main()
