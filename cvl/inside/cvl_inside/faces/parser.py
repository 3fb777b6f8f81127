"""Says what each pixel of a face belongs to: ParseNet, named as facexlib's weights name it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 256, 256, 256)
BLOCKS = 10
CLASSES = 19
SLOPE = 0.2


class Layer(nn.Module):
    """A 3x3 convolution, mirrored at the edges. `normed`: with a norm; stride 2 halves, and `twice`
    doubles the size."""

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, twice: bool = False, normed: bool = False
    ) -> None:
        super().__init__()
        self.twice = twice
        self.conv2d = nn.Conv2d(
            inputs, outputs, 3, stride, 1, bias=not normed, padding_mode="reflect"
        )
        self.norm = nn.ModuleDict({"norm": nn.BatchNorm2d(outputs)} if normed else {})

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv2d(functional.interpolate(x, scale_factor=2) if self.twice else x)
        return self.norm["norm"](made) if self.norm else made


class Block(nn.Module):
    """Two layers and a way round them; of equal sizes, that is the input itself."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, twice: bool = False) -> None:
        super().__init__()
        self.conv1 = Layer(inputs, outputs, twice=twice, normed=True)
        self.conv2 = Layer(outputs, outputs, stride, normed=True)
        self.shortcut_func: nn.Module = nn.Identity()
        if stride > 1 or twice or inputs != outputs:
            self.shortcut_func = Layer(inputs, outputs, stride, twice)

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv2(functional.leaky_relu(self.conv1(x), SLOPE))
        return self.shortcut_func(x) + made


class FaceParser(nn.Module):
    """(B, 3, S, S) faces in -1..1 -> (B, CLASSES, S, S) scores."""

    def __init__(
        self, widths: tuple[int, ...] = WIDTHS, blocks: int = BLOCKS, classes: int = CLASSES
    ) -> None:
        super().__init__()
        pairs = list(zip(widths, widths[1:]))
        self.encoder = nn.Sequential(
            Layer(3, widths[0]), *(Block(a, b, stride=2) for a, b in pairs)
        )
        self.body = nn.Sequential(*(Block(widths[-1], widths[-1]) for _ in range(blocks)))
        self.decoder = nn.Sequential(*(Block(b, a, twice=True) for a, b in reversed(pairs)))
        self.out_mask_conv = Layer(widths[0], classes)

    def forward(self, faces: Tensor) -> Tensor:
        x = self.encoder(faces)
        return self.out_mask_conv(self.decoder(x + self.body(x)))
