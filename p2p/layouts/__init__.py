"""What each model family handles, by its name in the models file: known without its weights and without torch.

A family is a file beside this with a row of `LAYOUTS`, and a file with a row in `p2p.families`. The workers check what
they load against it; `python -m admin models check` checks the files.
"""

from collections.abc import Mapping

from p2p.errors import UnsupportedModel
from p2p.layouts.amused import AMUSED
from p2p.layouts.base import PIPELINE, Layout, Parts
from p2p.layouts.deepfloyd_if import DEEPFLOYD_IF
from p2p.layouts.flux import FLUX
from p2p.layouts.flux2_klein import FLUX2_KLEIN
from p2p.layouts.qwen_image import QWEN_IMAGE
from p2p.layouts.stable_diffusion import STABLE_DIFFUSION
from p2p.layouts.stable_diffusion_3 import STABLE_DIFFUSION_3
from p2p.layouts.stable_diffusion_xl import STABLE_DIFFUSION_XL
from p2p.layouts.unclip import UNCLIP
from p2p.layouts.z_image import Z_IMAGE

LAYOUTS: Mapping[str, Layout] = {
    "stable_diffusion": STABLE_DIFFUSION,
    "stable_diffusion_xl": STABLE_DIFFUSION_XL,
    "amused": AMUSED,
    "deepfloyd_if": DEEPFLOYD_IF,
    "unclip": UNCLIP,
    "stable_diffusion_3": STABLE_DIFFUSION_3,
    "flux": FLUX,
    "flux2_klein": FLUX2_KLEIN,
    "z_image": Z_IMAGE,
    "qwen_image": QWEN_IMAGE,
}


def family_of(parts: Parts) -> str:
    """The family whose pipeline a model's files name.

    Raises:
        UnsupportedModel: it is no family's.
    """
    kinds = parts[PIPELINE].kinds
    for name, layout in LAYOUTS.items():
        if set(kinds) & set(layout.kinds[PIPELINE]):
            return name
    handled = ", ".join(kind for layout in LAYOUTS.values() for kind in layout.kinds[PIPELINE])
    raise UnsupportedModel(f"no family draws with a {kinds[0]}: set `path` to a model of one of {handled}")
