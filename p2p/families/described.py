"""A loaded pipeline as the parts that a layout is checked against: what was loaded has the last word over its files."""

from diffusers import DiffusionPipeline

from p2p.layouts.base import PIPELINE, Part, Parts


def described(pipeline: DiffusionPipeline) -> Parts:
    """The parts of a pipeline. A class counts as what it derives from: models may bring subclasses of their own."""
    parts = {PIPELINE: Part(_kinds(pipeline))}
    for name, component in pipeline.components.items():
        if component is not None:
            config = getattr(component, "config", {})
            parts[name] = Part(_kinds(component), config.to_dict() if hasattr(config, "to_dict") else dict(config))
    return parts


def _kinds(component: object) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in type(component).__mro__)
