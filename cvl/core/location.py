"""Places in a manifest, and what can name them in an error. Says nothing of YAML, so that a
manifest that needs no error needs no parser either."""

from __future__ import annotations

from typing import Protocol

from cvl.errors import ManifestError

Location = tuple[str | int, ...]


class Located(Protocol):
    """Something that knows on which line of which file a location is."""

    def error(self, location: Location, message: str, hint: str = "") -> ManifestError:
        """A ManifestError that points at `location`."""
