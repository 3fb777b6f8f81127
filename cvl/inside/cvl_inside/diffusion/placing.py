"""Where a pipeline computes and where its weights wait: the rungs of an offload ladder."""

import contextlib
from typing import Any, List, Optional

from ..predictor import Context, InputError
from .loading import QUANTIZED, torch_dtype

DENOISERS = ("transformer", "transformer_2", "unet")


def place(ctx: Context, pipe: Any) -> None:
    """Put the pipeline where the run's rung says: none, model, group, sequential (all exact),
    chunked, fp8, int8, nf4 (which change the result), balanced (over several GPUs). InputError
    where that rung cannot be."""
    mode, device = ctx.offload, ctx.device
    if mode == "none":
        pipe.to(device)
    elif mode == "model" or mode in QUANTIZED:
        pipe.enable_model_cpu_offload(device=device)
    elif mode == "chunked":
        pipe.enable_model_cpu_offload(device=device)
        pipe.unet.enable_forward_chunking()
    elif mode == "sequential":
        _sequential(pipe, device)
    elif mode == "group":
        _group(pipe, device)
    elif mode == "fp8":
        _cast_layers(ctx, pipe)
        pipe.enable_model_cpu_offload(device=device)
    elif mode != "balanced":
        raise InputError(f"there is no offload mode {mode!r}")


def prepare(
    pipe: Any,
    *,
    tiling: bool = False,
    compiled: bool = False,
    attention: str = "auto",
    flow_shift: Optional[float] = None,
) -> None:
    """Options of the parts. tiling: decode in tiles where the decoder can; flow_shift: of the
    scheduler, higher for larger videos. InputError for what they do not have."""
    if flow_shift is not None:
        _set_shift(pipe, flow_shift)
    if tiling and hasattr(getattr(pipe, "vae", None), "enable_tiling"):
        # The decoder of Stable Video Diffusion has the name of it alone.
        with contextlib.suppress(NotImplementedError):
            pipe.vae.enable_tiling()
    for denoiser in denoisers(pipe):
        if attention != "auto":
            _set_attention(denoiser, attention)
        if compiled:
            denoiser.compile()


def denoisers(pipe: Any) -> List[Any]:
    """The parts that compute the steps."""
    parts = (getattr(pipe, name, None) for name in DENOISERS)
    return [part for part in parts if part is not None]


def _set_shift(pipe: Any, shift: float) -> None:
    config = pipe.scheduler.config
    name = next((n for n in ("flow_shift", "shift") if n in config), "")
    if not name:
        raise InputError(
            f"the scheduler of {type(pipe).__name__} has no flow shift", "leave --flow-shift out"
        )
    pipe.scheduler = type(pipe.scheduler).from_config(config, **{name: shift})


def _set_attention(denoiser: Any, name: str) -> None:
    try:
        denoiser.set_attention_backend(name)
    except (ValueError, RuntimeError, ImportError, AttributeError) as error:
        line = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"attention {name} cannot be used here: {line}", "native runs everywhere"
        ) from None


def _sequential(pipe: Any, device: str) -> None:
    if device == "cpu":
        raise InputError(
            "offload sequential needs a GPU: on a CPU nothing would be gained",
            "choose none or group",
        )
    pipe.enable_sequential_cpu_offload(device=device)


def _group(pipe: Any, device: str) -> None:
    """Layer by layer; on CUDA the next one is copied while one computes."""
    import torch

    pipe.enable_group_offload(
        onload_device=torch.device(device),
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=device == "cuda",
    )


def _cast_layers(ctx: Context, pipe: Any) -> None:
    """Weights are kept as 8 bit floats and computed with in the dtype of the run."""
    import torch

    for denoiser in denoisers(pipe):
        denoiser.enable_layerwise_casting(
            storage_dtype=torch.float8_e4m3fn, compute_dtype=torch_dtype(ctx.dtype)
        )
