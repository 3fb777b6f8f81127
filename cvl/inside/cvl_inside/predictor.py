"""The names a predict.py uses: Predictor, Context, InputError."""

import os
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from .events import Events
from .runtime import Runtime


class InputError(Exception):
    """The caller's input cannot be used: told as `error:` and `hint:`, never as a traceback."""

    def __init__(self, message: str, hint: str = "", code: str = "bad_input") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


class Context:
    """What a predictor knows of its run, and how it speaks while it works.

    seed      int, already resolved; the same seed gives the same bytes
    device    "cuda", "mps" or "cpu"; dtype "bf16", "fp16" or "fp32"; offload: a rung of the
    manifest
    weights   repo id or file name -> local path of the weights
    loras     [(local path, scale)] that the caller gave
    scratch   a disk folder for big temporary files
    cache     a folder kept between runs for compiled kernels
    """

    def __init__(self, request: Mapping[str, Any], events: Events, runtime: Runtime) -> None:
        self.seed = runtime.seed
        self.device = runtime.device
        self.dtype = runtime.dtype
        self.offload = runtime.offload
        self.weights: Dict[str, str] = dict(request.get("weights", {}))
        self.loras = [(str(path), float(scale)) for path, scale in request.get("loras", [])]
        self.scratch = os.environ.get("TMPDIR") or tempfile.gettempdir()
        self.cache = os.environ.get("CVL_JIT_CACHE") or self.scratch
        self._outputs: Dict[str, str] = dict(request["outputs"])
        self._secrets: Dict[str, str] = dict(request.get("secrets", {}))
        self._events = events

    def wants(self, name: str) -> bool:
        """Was this output asked for? Optional outputs are made only then."""
        return name in self._outputs

    def output(self, name: str) -> str:
        """Path to write output `name` to; it has the extension that was asked for."""
        try:
            return self._outputs[name]
        except KeyError:
            raise KeyError(f"output {name!r} was not asked for; test ctx.wants({name!r})") from None

    def secret(self, name: str) -> Optional[str]:
        """Value of a secret declared in the manifest, or None when the caller gave none."""
        return self._secrets.get(name)

    def progress(self, done: float, total: float, unit: str = "steps") -> None:
        """`done` of `total` `unit`s are finished; call it as often as you like."""
        self._events.progress(done, total, unit)

    def metric(self, name: str, value: float, unit: str = "") -> None:
        """A measured figure for the result: load seconds, frames per second, peak bytes."""
        self._events.emit("metric", name=name, value=value, unit=unit)

    def warning(self, message: str) -> None:
        """One plain sentence that the caller should read; the run goes on."""
        self._events.emit("warning", message=str(message))

    def preview(self, image: Any) -> None:
        """Show work in progress: a path, encoded bytes, or anything with `.save(path)` (Pillow)."""
        path = self._events.preview_path()
        if path is None:
            return
        if hasattr(image, "save"):
            image.save(path)
        elif isinstance(image, bytes):
            Path(path).write_bytes(image)
        else:
            Path(path).write_bytes(Path(image).read_bytes())
        self._events.emit("preview", file=Path(path).name)


class Predictor:
    """One model: `setup` loads it once, `predict` runs it as often as asked."""

    def setup(self, ctx: Context) -> None:
        """Load weights. Called once, before the first predict."""

    def predict(self, ctx: Context, **inputs: Any) -> Mapping[str, str]:
        """One keyword argument per declared input; returns {output name: path}."""
        raise NotImplementedError(f"{type(self).__name__} has no predict()")
