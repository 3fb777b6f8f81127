"""What a published file says of how it was made: the statement itself, and its place in a file."""

from .embedding import MAX_PAYLOAD, Patch, patch_for, payload_in
from .statement import (
    FileRef,
    Origin,
    Provenance,
    ProvenanceError,
    decode,
    encode,
)

__all__ = [
    "MAX_PAYLOAD",
    "FileRef",
    "Origin",
    "Patch",
    "Provenance",
    "ProvenanceError",
    "decode",
    "encode",
    "patch_for",
    "payload_in",
]
