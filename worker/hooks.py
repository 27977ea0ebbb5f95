"""A function of the installation's own that a setting names: "package.module:function"."""

import importlib
from typing import Any


def function_of(setting: str) -> Any:
    """The function that a setting names.

    Raises:
        ValueError: there is none; the message says why.
    """
    module, _, name = setting.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(str(error)) from error
    if not callable(found):
        raise ValueError(f"{name} is no function")
    return found
