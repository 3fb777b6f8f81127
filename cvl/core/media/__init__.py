"""Media files as values: what a file is and what it holds, read from its structure alone."""

from .formats import extension_for, extensions_for, format_of_extension, formats_for
from .info import Kind, MediaError, MediaInfo
from .inspection import inspect, require_kind
from .sniff import HEAD_BYTES, sniff

__all__ = [
    "HEAD_BYTES",
    "Kind",
    "MediaError",
    "MediaInfo",
    "extension_for",
    "extensions_for",
    "format_of_extension",
    "formats_for",
    "inspect",
    "require_kind",
    "sniff",
]
