"""For what upstream imports and does not need here."""

from __future__ import annotations

import sys
import types
from typing import Any


def stand_in(name: str, **values: Any) -> None:
    """A module with these names, and those above it."""
    module = types.ModuleType(name)
    module.__dict__.update(values)
    sys.modules[name] = module
    above, _, last = name.rpartition(".")
    if above:
        if above not in sys.modules:
            stand_in(above)
        setattr(sys.modules[above], last, module)
