"""What a job costs the key that posts it: how far the key's virtual time moves on (`jobs/redis/lua/fair.lua`).

Start-time fair queueing (Goyal, Vin and Cheng 1996) gives each key a virtual time of its own. A job moves it on by the
job's work over the key's weight, and of all keys that wait the one that is furthest behind goes next. So a key that
posts 500 jobs at once does not keep another key's first job waiting.
"""

from p2p.change.beside import rows_beside
from p2p.rooms import rows_asked_about, rows_tried
from p2p.spec import EditSpec

#: What `keys create --weight` may say. Beyond it the order would be one of weights alone.
LEAST_WEIGHT, MOST_WEIGHT = 0.01, 100.0


def rows_of(spec: EditSpec) -> int:
    """The rows of a forward pass that a spec takes, with all its seeds, as far as the spec alone says.

    A kept source takes fewer, and a model whose guidance is distilled does too: only a worker knows.
    """
    guided = 2 if (spec.sampling.guidance_scale or 0) > 1 else 1
    beside, targets = len(rows_beside(spec)), len(spec.targets) + rows_tried(spec)
    if spec.source.image is not None:
        return 1 + targets * guided + beside
    return len(spec.seeds) * ((1 + targets) * guided + beside)


def rows_ahead(spec: EditSpec) -> int:
    """The rows of a source that is run before its edits, of all seeds: then its rows are taken once more."""
    fresh = any(target.local_blend is not None and target.local_blend.fresh_noise for target in spec.targets)
    goes_ahead = fresh or rows_tried(spec) > 0
    return len(spec.seeds) if goes_ahead and spec.source.image is None else 0


def pixels_of(spec: EditSpec) -> int:
    """The pixels of one of a spec's pictures."""
    return (spec.sampling.height or 0) * (spec.sampling.width or 0)


def work_of(spec: EditSpec) -> int:
    """Rows times steps times pixels; at least 1. What the model is asked once additions are drawn counts too."""
    rows = (rows_of(spec) + rows_ahead(spec)) * (spec.sampling.steps or 1) + len(spec.seeds) * rows_asked_about(spec)
    return max(1, rows * pixels_of(spec))
