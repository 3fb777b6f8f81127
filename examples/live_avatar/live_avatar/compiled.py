"""torch.compile, part by part.

Every block has the same shapes, so each part is compiled once and used in all layers. Between the
parts lie the caches, which stay outside: slices that move from block to block would be compiled
anew each time.
"""

from __future__ import annotations

import torch

from live_avatar.audio import listen
from live_avatar.dit import AvatarTransformer


def compile_parts(model: AvatarTransformer, backend: str = "inductor") -> None:
    """Compile what runs in every step; it happens in the first one, once for all layers."""
    for block in model.blocks:
        block.begin_turned = torch.compile(block.begin_turned, dynamic=False, backend=backend)
        block.finish = torch.compile(block.finish, dynamic=False, backend=backend)
    model.audio_injector.listen = torch.compile(listen, dynamic=False, backend=backend)
    model.head.forward = torch.compile(model.head.forward, dynamic=False, backend=backend)
