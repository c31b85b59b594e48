"""Parts by name: one of ours, or `package.module:name` for one's own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TypeVar

from wordprint.errors import ConfigError

Part = TypeVar("Part")


def find_part(parts: Mapping[str, Part | str], name: str, kind: str) -> Part:
    """The part called `name`; raises ConfigError where it can't be found, imported or called. `kind` is for the message.

    A text among `parts` is a `package.module:name` too: that module is imported when its part is asked for.
    """
    part = parts.get(name, name)
    if not isinstance(part, str):
        return part
    module, _, attribute = part.partition(":")
    if not (module and attribute):
        raise ConfigError(f"there is no {kind} '{name}'", expected=f"one of {', '.join(parts)}, or package.module:name of your own")
    try:
        found: Part = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        remedy = "a module in the current folder is found with PYTHONPATH=."
        raise ConfigError(f"the {kind} '{name}' can't be imported ({error})", remedy=remedy) from error
    if not callable(found):
        raise ConfigError(f"the {kind} '{name}' is a {type(found).__name__}", expected="a class or a function")
    return found
