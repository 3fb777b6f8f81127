"""From the name of a repo to a pipeline in memory, by diffusers' own from_pretrained."""

import inspect
import time
from typing import Any, Dict, Optional

from ..predictor import Context, InputError
from .families import family_in, family_of

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
QUANTIZED = ("int8", "nf4")
"""Offload rungs that change weights while they are loaded."""
OTHER = "cvl models list names those that are here; https://huggingface.co/models has others"


def torch_dtype(name: str) -> Any:
    """torch's own for bf16, fp16, fp32."""
    import torch

    return getattr(torch, DTYPES[name])


def class_of(repo: str) -> str:
    """Name of the pipeline class that a repo asks for. InputError when it is no pipeline."""
    from diffusers import DiffusionPipeline

    try:
        config = DiffusionPipeline.load_config(repo)
    except (OSError, ValueError) as error:
        raise InputError(f"{repo} is no diffusers pipeline: {_first_line(error)}", OTHER) from None
    return str(config.get("_class_name", ""))


def starts_from_image(class_name: str) -> bool:
    """Does a pipeline of that class need a picture to begin with?"""
    import diffusers

    kind = getattr(diffusers, class_name, None)
    image = inspect.signature(kind.__call__).parameters.get("image") if kind else None
    if image is None:
        return False
    return image.default is image.empty or "ImageToVideo" in class_name


def class_from_image(repo: str) -> str:
    """Name of the class that makes a video from a picture with what a repo has. InputError when
    there is none."""
    import diffusers

    name = class_of(repo)
    kind = getattr(diffusers, name, None)
    if kind is None or "image" in inspect.signature(kind.__call__).parameters:
        return name
    config = diffusers.DiffusionPipeline.load_config(repo)
    sibling = family_in(name, config).from_image
    if not sibling:
        raise InputError(
            f"{repo} ({name}) makes videos from text alone",
            "choose a model that starts from a picture, as Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        )
    return sibling


def load(ctx: Context, repo: str, kind: str = "", variant: str = "", **components: Any) -> Any:
    """The pipeline of `repo`, on no device yet. kind: a class other than the repo asks for.
    components: take the place of the repo's. Raises InputError."""
    import diffusers

    name = kind or class_of(repo)
    pipeline = getattr(diffusers, name, None)
    if pipeline is None:
        raise InputError(
            f"{repo} is a {name}, which diffusers {diffusers.__version__} does not have", OTHER
        )
    settings: Dict[str, Any] = {"dtype": _dtypes(ctx, name), **components}
    if variant:
        settings["variant"] = variant
    if ctx.offload in QUANTIZED:
        settings["quantization_config"] = _quantization(ctx)
    if ctx.offload == "balanced":
        settings["device_map"] = "balanced"
    began = time.monotonic()
    pipe = _loaded(pipeline, repo, settings)
    _add_loras(ctx, pipe)
    ctx.metric("load_s", time.monotonic() - began, "s")
    return pipe


def load_part(ctx: Context, kind: str, repo: str, **settings: Any) -> Any:
    """One component that is a repo of its own, such as a motion adapter."""
    import diffusers

    return _loaded(getattr(diffusers, kind), repo, {"dtype": torch_dtype(ctx.dtype), **settings})


def load_gguf(ctx: Context, repo: str, path: str) -> Any:
    """The transformer of `repo` with the quantized weights of a GGUF file in their place."""
    import diffusers

    config = diffusers.DiffusionPipeline.load_config(repo)
    dtype = torch_dtype(ctx.dtype)
    try:
        kind = getattr(diffusers, config["transformer"][1])
        return kind.from_single_file(
            path,
            config=repo,
            subfolder="transformer",
            quantization_config=diffusers.GGUFQuantizationConfig(compute_dtype=dtype),
            dtype=dtype,
        )
    except (KeyError, OSError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"the GGUF file does not fit {repo}: {_first_line(error)}",
            "choose one that was made from this model's transformer",
        ) from error


def _loaded(kind: Any, repo: str, settings: Dict[str, Any]) -> Any:
    try:
        return kind.from_pretrained(repo, **settings)
    except (OSError, ValueError, AttributeError, ImportError) as error:
        raise InputError(
            f"{repo} cannot be loaded as {kind.__name__}: {_first_line(error)}", OTHER
        ) from error


def _dtypes(ctx: Context, class_name: str) -> Any:
    parts = family_of(class_name).fp32
    dtype = torch_dtype(ctx.dtype)
    return {"default": dtype, **{part: torch_dtype("fp32") for part in parts}} if parts else dtype


def _quantization(ctx: Context) -> Any:
    """Of the part that computes the steps; what a quantized text encoder gives is noticeably
    worse."""
    from diffusers import PipelineQuantizationConfig

    config: Optional[Any] = None
    if ctx.offload == "int8":
        from diffusers import TorchAoConfig
        from torchao.quantization import Int8WeightOnlyConfig

        config = TorchAoConfig(Int8WeightOnlyConfig())
    else:
        from diffusers import BitsAndBytesConfig

        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch_dtype(ctx.dtype),
        )
    return PipelineQuantizationConfig(quant_mapping={"transformer": config, "unet": config})


def _add_loras(ctx: Context, pipe: Any) -> None:
    if not ctx.loras:
        return
    if not hasattr(pipe, "load_lora_weights"):
        raise InputError(f"{type(pipe).__name__} takes no LoRA", "leave --lora out")
    names = []
    for index, (path, _) in enumerate(ctx.loras):
        names.append(f"lora{index}")
        try:
            pipe.load_lora_weights(path, adapter_name=names[-1])
        except (ValueError, KeyError, RuntimeError) as error:
            raise InputError(
                f"the LoRA does not fit {type(pipe).__name__}: {_first_line(error)}",
                "choose one that was made for this model",
            ) from error
    pipe.set_adapters(names, [scale for _, scale in ctx.loras])


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
