"""What a declared model's runs are a sequence of: latents or tokens. What a spec may ask for depends on it."""

from jobs.catalogue import ModelDeclaration
from p2p.layouts import LAYOUTS
from p2p.spec import State


def state_of(declaration: ModelDeclaration) -> State:
    """Of the model's family; of one that is not known, which workers refuse, as of most."""
    layout = LAYOUTS.get(declaration.family)
    return "latents" if layout is None else layout.state
