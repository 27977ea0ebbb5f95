"""A moderation hook as an installation would write one: workers of the tests name it by `MODERATION`."""

import numpy as np

from worker.moderation import Material


def judge(material: Material) -> str | None:
    """Refuses knives when they are asked for; when anything is asked for "at night", what is then painted; and where
    there is fog, previews."""
    if "crash" in material.prompts[0]:
        raise RuntimeError(f"cannot judge {material.prompts[0]!r}")
    if any("knife" in prompt for prompt in (*material.prompts, material.negative_prompt)):
        return "no knives here"
    if material.preview and "fog" in material.prompts[0]:
        return "too blurred to say"
    if material.picture is not None:
        assert np.asarray(material.picture).shape[2] == 3
        if material.index and "night" in material.prompts[material.index]:
            return f"picture {material.index} is too dark"
    return None


def yes(material: Material) -> bool:
    """No hook: it does not give what one has to give."""
    return True


NO_FUNCTION = "judge"
