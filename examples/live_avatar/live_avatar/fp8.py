"""Linear layers in float8 (e4m3): twice the speed of bfloat16 and half the memory.

One scale for a whole tensor: the weight's is found once, the input's at every call. That is coarse
and enough: the paper finds no loss of quality (its table 11).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLOAT8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FLOAT8).max
LEFT_AS_THEY_ARE = (
    "text_embedding",
    "time_embedding",
    "time_projection",
    "head.head",
    "casual_audio_encoder.encoder.final_linear",
)
"""Layers whose output is a condition of everything after them, or the result."""


def quantized(x: Tensor) -> tuple[Tensor, Tensor]:
    """x in float8, and the float32 scale that it must be multiplied by to be x again.

    The scale never enlarges by more than 448, as in training: a tensor of tiny numbers keeps them.
    """
    largest = x.abs().max().float().clamp(min=1e-12)
    scale = (LARGEST / largest).clamp(max=LARGEST)
    return (x * scale).clamp(-LARGEST, LARGEST).to(FLOAT8), scale.reciprocal()


class Float8Linear(nn.Module):
    """A linear layer with its weight in float8; the input is quantized on the way in.

    On a GPU (compute capability 8.9 and above) the product is computed in float8; elsewhere the
    quantized numbers are multiplied in float32, which gives the same up to rounding.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.to(FLOAT8), requires_grad=False)
        self.register_buffer("weight_scale", torch.ones((), device=linear.weight.device))
        self.bias = linear.bias

    def hold(self, weight: Tensor) -> None:
        """Quantize and keep a weight [out, in]."""
        held, scale = quantized(weight)
        self.weight = nn.Parameter(held, requires_grad=False)
        self.weight_scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out] in x's dtype."""
        rows, scale = quantized(x.flatten(0, -2))
        if x.is_cuda:
            out = torch._scaled_mm(
                rows,
                self.weight.t(),
                scale_a=scale,
                scale_b=self.weight_scale,
                bias=self.bias,
                out_dtype=torch.bfloat16,
                use_fast_accum=True,
            )
        else:
            weight = self.weight.float() * self.weight_scale
            out = F.linear(rows.float() * scale, weight, self.bias.float())
        return out.unflatten(0, x.shape[:-1]).to(x.dtype)


def use_float8(model: nn.Module, path: str = "") -> None:
    """Put float8 layers in the place of linear ones, but for those that are left as they are.

    Weights are to be given to them by `hold`; on the meta device nothing is allocated.
    """
    for name, child in model.named_children():
        here = f"{path}.{name}" if path else name
        if not isinstance(child, nn.Linear):
            use_float8(child, here)
        elif not any(left in here for left in LEFT_AS_THEY_ARE):
            setattr(model, name, Float8Linear(child))
