"""Packages that diffsynth imports when it is imported, and that nothing here uses: readers of
training data, a downloader of its own, and image transforms. They are not installed: torchvision
from PyPI fails beside a torch of another build, and breaks transformers with it."""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

NAMES = ("modelscope", "pandas", "torchvision", "torchvision.transforms")
LOOKERS = ("torch._dynamo", "accelerate", "transformers.image_utils")
"""They look for packages when they are imported, and have to see that these are missing."""


class Missing(ModuleType):
    """Stands for a package until something of it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> None:
            raise ImportError(f"{self.__name__}.{name} is not installed")

        return refuse


@contextlib.contextmanager
def stood_in_for() -> Iterator[None]:
    """Within, the packages that are missing can be imported; afterwards nobody finds them."""
    for name in LOOKERS:
        importlib.import_module(name)
    missing = [name for name in NAMES if not _installed(name.partition(".")[0])]
    for name in missing:
        sys.modules[name] = Missing(name)
    try:
        yield
    finally:
        for name in missing:
            sys.modules.pop(name, None)


def _installed(name: str) -> bool:
    return name in sys.modules or importlib.util.find_spec(name) is not None
