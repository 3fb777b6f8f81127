"""The options of a call, read from the pipeline itself."""

import difflib
import inspect
from typing import Any, Dict, List, Mapping

from ..predictor import Context, InputError

OURS = (
    "self", "return_dict", "output_type", "generator", "callback", "callback_steps", "kwargs",
    "callback_on_step_end", "callback_on_step_end_tensor_inputs",
)  # fmt: skip
SHOWN = 40


def arguments(pipe: Any, given: Mapping[str, Any], more: Mapping[str, Any]) -> Dict[str, Any]:
    """Keyword arguments of the call: those of `given` that are not None, and `more`, which a person
    named. InputError for one that this pipeline does not take."""
    accepted = options_of(pipe)
    chosen = {name: value for name, value in given.items() if value is not None}
    _set_guidance(pipe, chosen, accepted)
    for name in [*chosen, *more]:
        if name not in accepted:
            raise InputError(f"{type(pipe).__name__} takes no {name}", _hint(name, accepted))
    return {**chosen, **more}


def called(pipe: Any, call: Mapping[str, Any], random: Any, kind: str = "np") -> Any:
    """The result, of arrays unless another kind is asked for. InputError for what the pipeline
    itself refuses."""
    try:
        return pipe(**call, generator=random, output_type=kind)
    except ValueError as error:
        line = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"{type(pipe).__name__} refuses: {line[:300]}",
            "see the options of this example, and the model's own page",
        ) from error


def options_of(pipe: Any) -> List[str]:
    """Names of what may be said in a call."""
    names = inspect.signature(type(pipe).__call__).parameters
    return [name for name in names if name not in OURS]


def generator(ctx: Context) -> Any:
    """Random numbers of the run's seed. On the CPU, so that every device begins with the same
    noise."""
    import torch

    return torch.Generator("cpu").manual_seed(ctx.seed)


def _set_guidance(pipe: Any, chosen: Dict[str, Any], accepted: List[str]) -> None:
    """Where guidance is no argument it is a part of the pipeline, or goes from one to another."""
    if "guidance_scale" not in chosen or "guidance_scale" in accepted:
        return
    if "max_guidance_scale" in accepted:
        chosen["max_guidance_scale"] = chosen.pop("guidance_scale")
    elif getattr(pipe, "guider", None) is not None:
        pipe.guider = pipe.guider.new(guidance_scale=chosen.pop("guidance_scale"))


def _hint(name: str, accepted: List[str]) -> str:
    near = difflib.get_close_matches(name, accepted, 1)
    if near:
        return f"did you mean {near[0]}?"
    return "it takes: " + ", ".join(accepted[:SHOWN])
