"""Make the numbers that the tests compare with, by running upstream's code on the CPU.

    python golden.py --upstream PATH --output golden

PATH is a checkout of https://github.com/fudan-generative-vision/hallo2 at `hallo_upstream.COMMIT`.
Needs torch, diffusers, accelerate, einops, PyYAML, safetensors, tqdm and Pillow.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import hallo_case as case
import hallo_upstream as upstream
import numpy as np
import torch
from filling import fill
from torch.utils.flop_counter import FlopCounterMode

LARGEST_FILE = 200_000


def main() -> None:
    """Write every file of golden numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    checkout = chosen.upstream.resolve()
    upstream.enter(checkout)
    script = upstream.script(checkout)
    with tempfile.TemporaryDirectory() as folder:
        net = written(script, checkout, Path(folder))
        made = {
            "networks": networks(net),
            "reference": reference(net),
            "video": video(script, checkout, Path(folder)),
        }
    names = real_names(checkout)
    origin = json.dumps({"commit": upstream.COMMIT, "sha256": upstream.hashes(checkout)})
    chosen.output.mkdir(parents=True, exist_ok=True)
    for name, arrays in made.items():
        path = chosen.output / f"{name}.npz"
        np.savez_compressed(path, origin=np.array(origin), **arrays)
        assert path.stat().st_size < LARGEST_FILE, f"{path} has {path.stat().st_size} bytes"
    packed = gzip.compress(json.dumps(names).encode(), mtime=0)
    (chosen.output / "state_dict.json.gz").write_bytes(packed)


def written(script: Any, checkout: Path, folder: Path) -> Any:
    """A checkpoint in upstream's layout, and its networks."""
    unet = folder / "stable-diffusion-v1-5" / "unet"
    script.UNet2DConditionModel.from_config(case.UNET).save_pretrained(unet)
    vae = script.AutoencoderKL(**case.VAE)
    fill(vae)
    vae.save_pretrained(folder / "sd-vae-ft-mse")
    config = upstream.settings(checkout, folder)
    net = script.Net(
        script.UNet2DConditionModel.from_config(case.UNET),
        script.UNet3DConditionModel.from_pretrained_2d(
            config.base_model_path, config.motion_module_path, subfolder="unet",
            unet_additional_kwargs=config.unet_additional_kwargs, use_landmark=False,
        ),
        script.FaceLocator(conditioning_embedding_channels=320),
        script.ImageProjModel(case.UNET["cross_attention_dim"], 512, 4),
        script.AudioProjModel(),
    )  # fmt: skip
    fill(net)
    (folder / "hallo2").mkdir()
    torch.save(net.state_dict(), folder / "hallo2" / "net.pth")
    net.reference_unet.eval()
    net.denoising_unet.enable_gradient_checkpointing()
    return net.requires_grad_(False)


def real_names(checkout: Path) -> dict[str, list[int]]:
    """Names and shapes of `net.pth` at the real size, where nothing is allocated."""
    from hallo.models.audio_proj import AudioProjModel
    from hallo.models.face_locator import FaceLocator

    script = upstream.sys.modules["inference_long"]
    config = upstream.settings(checkout, Path())["unet_additional_kwargs"]
    sides = {
        side: [kind.replace("2D", "3D") for kind in case.REAL_UNET[side]]
        for side in ("down_block_types", "up_block_types")
    }
    denoising = {**case.REAL_UNET, **sides, **config, "audio_attention_dim": 768}
    with torch.device("meta"):
        net = script.Net(
            script.UNet2DConditionModel.from_config(case.REAL_UNET),
            script.UNet3DConditionModel.from_config(denoising),
            FaceLocator(conditioning_embedding_channels=320),
            script.ImageProjModel(768, 512, 4),
            AudioProjModel(5, 12, 768, 512, 768, 32),
        )
    return {name: list(tensor.shape) for name, tensor in net.state_dict().items()}


def controls(net: Any) -> tuple[Any, Any]:
    """What writes the reference network's features and what reads them in the denoising one."""
    from hallo.models.mutual_self_attention import ReferenceAttentionControl

    given = {"do_classifier_free_guidance": True, "batch_size": 1, "fusion_blocks": "full"}
    writer = ReferenceAttentionControl(net.reference_unet, mode="write", **given)
    return writer, ReferenceAttentionControl(net.denoising_unet, mode="read", **given)


@torch.no_grad()
def networks(net: Any) -> dict[str, np.ndarray]:
    """The parts that can be called by themselves, and the denoising network with all it reads."""
    speech, located = case.speech()[:3], case.located()[None, :, None]
    motion = net.denoising_unet.down_blocks[1].motion_modules[0]
    made = {
        "identity": net.imageproj(case.embedding()[None]),
        "sound": net.audioproj(speech[None])[0],
        "located": net.face_locator(located)[:, :, 0],
        "moved": motion(case.moving().transpose(0, 1)[None], None)[0].transpose(0, 1)[2:],
    }
    writer, reader = controls(net)
    net.reference_unet(
        case.pictures().repeat(2, 1, 1, 1), torch.tensor(0), encoder_hidden_states=case.identity()
    )
    reader.update(writer, dtype=torch.float32)
    added = case.added()[:, :, None].repeat(1, 1, case.FRAMES, 1, 1)
    regions = (("full", "pose"), ("face", "face"), ("lip", "lip"))
    counter = FlopCounterMode(display=False)
    with counter:
        made["velocity"] = net.denoising_unet(
            case.noise(), torch.tensor(517), encoder_hidden_states=case.identity(),
            mask_cond_fea=torch.cat([torch.zeros_like(added), added]),
            audio_embedding=case.sound(),
            **{f"{name}_mask": [m.repeat(2 * case.FRAMES, 1) for m in case.masks(region)]
               for name, region in regions},
            motion_scale=list(case.SCALES), return_dict=False,
        )[0]  # fmt: skip
    reader.clear()
    writer.clear()
    flops = np.array(counter.get_total_flops())
    return {"flops": flops, **{name: tensor.numpy() for name, tensor in made.items()}}


@torch.no_grad()
def reference(net: Any) -> dict[str, np.ndarray]:
    """What each layer of the reference network saw: every third place."""
    writer, _ = controls(net)
    net.reference_unet(
        case.pictures().repeat(2, 1, 1, 1), torch.tensor(0), encoder_hidden_states=case.identity()
    )
    made = {
        name.removesuffix(".transformer_blocks.0"): block.bank[0][:, ::3].numpy()
        for name, block in net.reference_unet.named_modules()
        if hasattr(block, "bank")
    }
    writer.clear()
    return made


def video(script: Any, checkout: Path, folder: Path) -> dict[str, np.ndarray]:
    """Two clips by upstream's script: every second pixel, as it writes them.

    It rounds the reference network's features to half precision whatever the networks compute in;
    here it does not. How far apart the frames are where it does is told too.
    """
    from hallo.models.mutual_self_attention import ReferenceAttentionControl

    rounded = frames(script, checkout, folder)
    with upstream.Replaced() as replaced:
        replaced(ReferenceAttentionControl.update, "__defaults__", (torch.float32,))
        exact = frames(script, checkout, folder)
    apart = np.abs(exact.astype(int) - rounded).max()
    return {"frames": exact[:, ::2, ::2], "rounded_apart": np.array(apart)}


def frames(script: Any, checkout: Path, folder: Path) -> np.ndarray:
    """uint8 [frames, side, side, 3]."""
    made = upstream.run(script, checkout, folder).permute(1, 2, 3, 0).numpy()
    print("share of pixels at an end:", float(((made <= 0) | (made >= 1)).mean()))
    return np.clip(made * 255, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
