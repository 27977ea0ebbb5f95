"""What each model family handles, by its name in the models file: known without its weights and without torch.

A family is a file beside this with a row of `LAYOUTS`, and a file with a row in `p2p.families`. The workers check what
they load against it; `python -m admin models check` checks the files.
"""

from collections.abc import Mapping

from p2p.layouts.base import Layout
from p2p.layouts.stable_diffusion import STABLE_DIFFUSION

LAYOUTS: Mapping[str, Layout] = {"stable_diffusion": STABLE_DIFFUSION}
