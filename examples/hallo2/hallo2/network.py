"""All that was trained, under the names of `net.pth`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hallo2.projections import FaceLocator, IdentityProjection, SoundProjection
from hallo2.reference import reference_network
from hallo2.sizes import Sizes
from hallo2.unet import DenoisingNetwork
from torch import nn


class Networks(nn.Module):
    """Each is called by itself."""

    def __init__(self, config: Mapping[str, Any], sizes: Sizes) -> None:
        super().__init__()
        self.reference_unet = reference_network(config)
        self.denoising_unet = DenoisingNetwork(sizes)
        self.face_locator = FaceLocator(sizes)
        self.imageproj = IdentityProjection(sizes)
        self.audioproj = SoundProjection(sizes)
