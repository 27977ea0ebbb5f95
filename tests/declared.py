"""A tiny model as a models file declares it."""

_DECLARED = """
[[models]]
id = "{id}"
path = "{path}"
family = "stable_diffusion"
sizes = [[32, 32]]
defaults = {{ steps = 3, guidance_scale = 3.0 }}
limits = {{ max_steps = {max_steps}, max_targets = 3 }}
"""


def declared(id: str = "tiny", *, path: str = "model", max_steps: int = 40) -> str:
    """The lines of one model; a test replaces those that it is about."""
    return _DECLARED.format(id=id, path=path, max_steps=max_steps)
