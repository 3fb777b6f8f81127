"""Which repositories there are, by family. No torch is loaded until one is built."""

from __future__ import annotations

import importlib
import zlib
from pathlib import Path

NO_PIPELINE = "cvl-test/not-a-pipeline"
NAN_SVD = "cvl-test/nan-stable-video-diffusion-img2vid"
NAN_SDXL = "cvl-test/nan-stable-diffusion-xl-base-1.0"
NAN_WAN = "cvl-test/nan-Wan2.1-T2V-1.3B-Diffusers"
HUNYUAN_15 = "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p"

FAMILIES: dict[str, dict[str, str]] = {
    "svd": {
        "stabilityai/stable-video-diffusion-img2vid": "stable.svd",
        "stabilityai/stable-video-diffusion-img2vid-xt": "stable.svd_xt",
    },
    "modelscope": {"ali-vilab/text-to-video-ms-1.7b": "stable.modelscope"},
    "zeroscope": {
        "cerspense/zeroscope_v2_576w": "stable.zeroscope",
        "cerspense/zeroscope_v2_XL": "stable.zeroscope_xl",
    },
    "animatediff": {
        "SG161222/Realistic_Vision_V5.1_noVAE": "stable.realistic_vision",
        "guoyww/animatediff-motion-adapter-v1-5-2": "stable.motion_adapter",
    },
    "sdxl": {
        "stabilityai/stable-diffusion-xl-base-1.0": "stable.sdxl",
        "stabilityai/stable-diffusion-xl-refiner-1.0": "stable.sdxl_refiner",
    },
    "wan21": {
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": "wan.t2v",
        "Wan-AI/Wan2.1-T2V-14B-Diffusers": "wan.t2v",
    },
    "wan22": {
        "Wan-AI/Wan2.2-T2V-A14B-Diffusers": "wan.t2v_a14b",
        "Wan-AI/Wan2.2-TI2V-5B-Diffusers": "wan.ti2v_5b",
    },
    "wan_i2v": {
        "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": "wan.i2v",
        "Wan-AI/Wan2.2-I2V-A14B-Diffusers": "wan.i2v_a14b",
    },
    "ltx": {"Lightricks/LTX-Video": "ltx.ltx"},
    "ltx2": {"Lightricks/LTX-2": "ltx.ltx2"},
    "cogvideox": {
        "zai-org/CogVideoX-2b": "ltx.cogvideox",
        "zai-org/CogVideoX-5b-I2V": "ltx.cogvideox_i2v",
    },
    "hunyuan": {
        "hunyuanvideo-community/HunyuanVideo": "hunyuan.hunyuan",
        "hunyuanvideo-community/HunyuanVideo-I2V": "hunyuan.hunyuan_i2v",
    },
    "hunyuan15": {
        f"{HUNYUAN_15}_t2v": "hunyuan.hunyuan_15",
        f"{HUNYUAN_15}_i2v": "hunyuan.hunyuan_15_i2v",
    },
    "wan_s2v": {"Wan-AI/Wan2.2-S2V-14B": "speaking.wan_s2v"},
    "live_avatar": {"Quark-Vision/Live-Avatar": "speaking.live_avatar"},
    "broken": {
        NO_PIPELINE: "broken.not_a_pipeline",
        NAN_SVD: "stable.svd_nan",
        NAN_SDXL: "stable.sdxl_nan",
        NAN_WAN: "wan.t2v_nan",
    },
}
REPOSITORIES = {repo: builder for repos in FAMILIES.values() for repo, builder in repos.items()}


def build(repo: str, output: Path) -> Path:
    """Writes `output`/<org>/<name>: the same bytes each time, other ones for each repository."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    module, _, function = REPOSITORIES[repo].partition(".")
    builder = getattr(importlib.import_module(f".{module}", __package__), function)
    folder = output / repo
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(repo.encode()))
        builder(folder)
    return folder
