"""The model that a benchmark is asked for, with the settings by which it is served."""

from dataclasses import dataclass
from pathlib import Path

from jobs.catalogue import ModelDefaults, load_catalogue
from jobs.errors import InvalidCatalogue
from p2p.families.base import ModelFamily
from worker.models import load_family

MODELS_FILE, DEFAULT = Path("models.toml"), "scenes"


@dataclass(frozen=True)
class Opened:
    """A loaded model.

    Attributes:
        defaults: with which requests are served that do not say otherwise; the benchmarks paint and edit with them.
    """

    family: ModelFamily
    defaults: ModelDefaults


def opened(name: str, device: str = "cpu", models_file: Path = MODELS_FILE) -> Opened:
    """A model of a models file, in float32.

    Args:
        name: its id, or its folder.
    Raises:
        InvalidCatalogue: the file declares no such model.
    """
    catalogue = load_catalogue(models_file)
    for model in catalogue.values():
        if name == model.id or Path(name).resolve() == Path(model.path):
            return Opened(load_family(model, device=device, dtype="float32"), model.defaults)
    raise InvalidCatalogue(f"{models_file} declares no model {name}: name one of {', '.join(catalogue)}")
