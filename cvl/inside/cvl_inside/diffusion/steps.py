"""What is told while a pipeline computes its steps."""

import inspect
import time
from typing import Any, Dict, Optional

from ..decoding import OutputError
from ..predictor import Context

PREVIEW_EVERY_S = 2.0


def watch(ctx: Context, pipe: Any) -> "Watch":
    """Tell of every step from now on, whatever the pipeline's own way is."""
    watched = Watch(ctx)
    pipe.progress_bar = watched.bar
    return watched


class Watch:
    """Progress by step, previews of the latents, and the end of a run whose numbers are none."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._previewed = time.monotonic()
        self.step_s = 0.0
        """Mean seconds of a step, of those but the first, which warms up."""

    def hooks(self, pipe: Any) -> Dict[str, Any]:
        """Arguments of the call, for pipelines that show what they have after each step."""
        accepted = inspect.signature(type(pipe).__call__).parameters
        if "callback_on_step_end" in accepted:
            return {"callback_on_step_end": self.callback}
        return {}

    def bar(self, iterable: Any = None, total: Optional[int] = None) -> "_Bar":
        """In the place of DiffusionPipeline.progress_bar."""
        return _Bar(self, self._ctx, iterable, total)

    def callback(self, pipe: Any, step: int, timestep: Any, tensors: Dict[str, Any]) -> Any:
        """For callback_on_step_end. Raises OutputError as soon as nothing can come of it."""
        latents = tensors.get("latents")
        if latents is None:
            return tensors
        import torch

        if not bool(torch.isfinite(latents).all()):
            raise OutputError(
                f"step {step + 1} gave numbers that are none (NaN): another --dtype may help"
            )
        if time.monotonic() - self._previewed > PREVIEW_EVERY_S:
            self._previewed = time.monotonic()
            self._preview(latents)
        return tensors

    def _preview(self, latents: Any) -> None:
        """Of the frame in the middle; of latents whose layout says nothing of rows, none."""
        image = middle_frame(latents)
        if image is not None:
            self._ctx.preview(image)


class _Bar:
    """What diffusers uses of tqdm."""

    def __init__(self, watch: Watch, ctx: Context, iterable: Any, total: Optional[int]) -> None:
        self._watch, self._ctx, self._iterable = watch, ctx, iterable
        self._total = total if total is not None else len(iterable)
        self._done = 0
        self._first = 0.0

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def __iter__(self) -> Any:
        for item in self._iterable:
            yield item
            self.update()

    def update(self, count: int = 1) -> None:
        self._done += count
        now = time.monotonic()
        if self._done == count:
            self._first = now
        elif self._done > count:
            self._watch.step_s = (now - self._first) / (self._done - count)
        self._ctx.progress(self._done, max(self._total, self._done), "steps")

    def set_postfix(self, *words: Any, **more: Any) -> None:
        """Nothing to show it on."""


def middle_frame(latents: Any) -> Any:
    """A small Pillow image of latents [batch, channels, rows, columns], or with frames before or
    after the channels; None for others. Three directions in which the channels differ most are
    taken for colours."""
    import torch
    from PIL import Image

    if latents.dim() not in (4, 5):
        return None
    first = latents[0].detach().float().cpu()
    if first.dim() == 4:
        frames_last = first.shape[0] < first.shape[1] and first.shape[0] <= 4
        channels_first = frames_last or first.shape[0] in (4, 16, 48, 128)
        first = first[:, first.shape[1] // 2] if channels_first else first[first.shape[0] // 2]
    channels, rows, columns = first.shape
    if channels < 3:
        return None
    flat = first.reshape(channels, -1)
    flat = flat - flat.mean(1, keepdim=True)
    vectors = torch.linalg.eigh(flat @ flat.T)[1][:, -3:]
    colours = (vectors.T @ flat).reshape(3, rows, columns)
    low, high = colours.amin((1, 2), keepdim=True), colours.amax((1, 2), keepdim=True)
    colours = (colours - low) / (high - low).clamp(min=1e-6)
    pixels = (colours.permute(1, 2, 0) * 255).byte().numpy()
    return Image.fromarray(pixels).resize((columns * 8, rows * 8))
