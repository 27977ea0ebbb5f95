"""Has transformers and diffusers log as this process does: they bring handlers of their own, and progress bars."""

from diffusers.utils import logging as of_diffusers
from transformers.utils import logging as of_transformers


def adopt_library_logs() -> None:
    """From here on their lines go through the root logger's handler, and no bar is drawn."""
    for library in (of_diffusers, of_transformers):
        library.disable_default_handler()
        library.enable_propagation()
        library.disable_progress_bar()
