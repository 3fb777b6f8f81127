"""What is known of families of pipelines beyond what their classes say of themselves."""

from dataclasses import dataclass, replace
from typing import Any, Mapping, Tuple


@dataclass(frozen=True)
class Family:
    """fps: that its checkpoints were trained at. least_frames, most_frames: that they make well at
    once. fp32: components that half precision spoils. from_image: the class that makes a video from
    a picture with the same components. sound: it makes that too, and so cannot be made in parts."""

    fps: float = 16
    least_frames: int = 1
    most_frames: int = 129
    fp32: Tuple[str, ...] = ()
    from_image: str = ""
    sound: bool = False


_FAMILIES = {
    "AnimateDiff": Family(fps=8, most_frames=32),
    "CogVideoX": Family(fps=8, most_frames=81),
    "HunyuanVideo": Family(fps=24, most_frames=129),
    "LTX2": Family(fps=24, most_frames=481, from_image="LTX2ImageToVideoPipeline", sound=True),
    "LTX": Family(fps=25, most_frames=257, from_image="LTXImageToVideoPipeline"),
    "StableVideoDiffusion": Family(fps=7, least_frames=2, most_frames=25),
    "TextToVideoSD": Family(fps=8, most_frames=64),
    "VideoToVideoSD": Family(fps=8, most_frames=64),
    "Wan": Family(fps=16, most_frames=81, fp32=("vae",)),
}


def family_of(class_name: str) -> Family:
    """By the name of the pipeline's class; what is not known is taken for an average one."""
    for prefix, family in _FAMILIES.items():
        if class_name.startswith(prefix):
            return family
    return Family()


def family_in(class_name: str, config: Mapping[str, Any]) -> Family:
    """With what a configuration says: the 5B model of Wan 2.2 makes 24 frames a second, and a video
    from a picture as well as from text."""
    family = family_of(class_name)
    if class_name.startswith("Wan") and config.get("expand_timesteps"):
        return replace(family, fps=24, most_frames=121, from_image="WanImageToVideoPipeline")
    return family


def family_of_pipeline(pipe: Any) -> Family:
    """Of one that is loaded."""
    return family_in(type(pipe).__name__, pipe.config)
