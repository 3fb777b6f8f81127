"""Pipelines on UNets: Stable Video Diffusion, ModelScope, ZeroScope, AnimateDiff, SDXL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLTemporalDecoder,
    DDIMScheduler,
    EulerDiscreteScheduler,
    MotionAdapter,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    StableVideoDiffusionPipeline,
    TextToVideoSDPipeline,
    UNet2DConditionModel,
    UNet3DConditionModel,
    UNetSpatioTemporalConditionModel,
)
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from . import tokens
from .layout import awaken, contrast, decoy, pickle, poison, save

NOISE: dict[str, Any] = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
}  # fmt: skip
GAIN = 2.0


def autoencoder(**config: Any) -> AutoencoderKL:
    """Pixels to 4 channels of latents, 8 times smaller each way."""
    vae = AutoencoderKL(
        latent_channels=4, block_out_channels=(8,) * 4, norm_num_groups=2, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        **config,
    )  # fmt: skip
    contrast(vae.decoder.conv_out, GAIN)
    return vae


def text(width: int = 32, **config: Any) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=tokens.CLIP_VOCABULARY, hidden_size=width, intermediate_size=2 * width,
        num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=tokens.CLIP_LENGTH,
        projection_dim=32, **tokens.CLIP_SPECIAL, **config,
    )  # fmt: skip


def svd_pipeline(frames: int) -> StableVideoDiffusionPipeline:
    """Four levels as in the real one; 32 channels at least, for its norms have 32 groups."""
    unet = UNetSpatioTemporalConditionModel(
        sample_size=8, num_frames=frames, block_out_channels=(32,) * 4, layers_per_block=1,
        cross_attention_dim=32, num_attention_heads=(2,) * 4, addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
    )  # fmt: skip
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32,) * 4, layers_per_block=1, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4,
    )  # fmt: skip
    contrast(vae.decoder.time_conv_out, GAIN)
    scheduler = EulerDiscreteScheduler(
        **NOISE, prediction_type="v_prediction", sigma_max=700.0, sigma_min=0.002,
        timestep_spacing="leading", timestep_type="continuous", use_karras_sigmas=True,
    )  # fmt: skip
    encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32, projection_dim=32, num_hidden_layers=1, num_attention_heads=4,
            intermediate_size=32, image_size=224, patch_size=56,
        )
    )  # fmt: skip
    awaken(unet)
    return StableVideoDiffusionPipeline(
        vae=vae, image_encoder=encoder, unet=unet, scheduler=scheduler,
        feature_extractor=CLIPImageProcessor(crop_size=224, size=224),
    )  # fmt: skip


def svd(folder: Path) -> None:
    tops = ("svd.safetensors", "svd_image_decoder.safetensors")
    save(svd_pipeline(14), folder, variants=["fp16"], tops=tops)


def svd_xt(folder: Path) -> None:
    tops = ("svd_xt.safetensors", "svd_xt_image_decoder.safetensors")
    save(svd_pipeline(25), folder, variants=["fp16"], tops=tops)


def svd_nan(folder: Path) -> None:
    pipeline = svd_pipeline(14)
    poison(pipeline.unet)
    save(pipeline, folder, variants=["fp16"])


def text_to_video() -> TextToVideoSDPipeline:
    unet = UNet3DConditionModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=2,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"), cross_attention_dim=32,
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"), attention_head_dim=4,
    )  # fmt: skip
    awaken(unet)
    scheduler = DDIMScheduler(**NOISE, clip_sample=False, set_alpha_to_one=False)
    return TextToVideoSDPipeline(
        vae=autoencoder(), text_encoder=CLIPTextModel(text()), tokenizer=tokens.clip(),
        unet=unet, scheduler=scheduler,
    )  # fmt: skip


def modelscope(folder: Path) -> None:
    """Pickles and safetensors side by side, in both precisions."""
    save(text_to_video(), folder, variants=["fp16"])
    for weights in sorted(folder.glob("*/*.safetensors")):
        kept = weights.read_bytes()
        pickle(weights)
        weights.write_bytes(kept)
    tokens.write_legacy_clip(folder / "tokenizer")


def zeroscope(folder: Path, name: str = "zs2_576w") -> None:
    """Pickles alone, in one precision, and the original format in a folder of its own."""
    parts = ("text2video_pytorch_model.pth", "open_clip_pytorch_model.bin")
    save(text_to_video(), folder, tops=[f"{name}/{part}" for part in parts], pickled=True)
    tokens.write_legacy_clip(folder / "tokenizer")


def zeroscope_xl(folder: Path) -> None:
    zeroscope(folder, "zs2_XL")


def realistic_vision(folder: Path) -> None:
    """Stable Diffusion 1.5 by its classes; no safety checker."""
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=2, norm_num_groups=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), cross_attention_dim=32,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=4,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae=autoencoder(), text_encoder=CLIPTextModel(text()), tokenizer=tokens.clip(),
        unet=unet, scheduler=PNDMScheduler(**NOISE, skip_prk_steps=True), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    tops = ("Realistic_Vision_V5.1.safetensors", "Realistic_Vision_V5.1_fp16-no-ema.safetensors")
    save(pipeline, folder, tops=tops)
    tokens.write_legacy_clip(folder / "tokenizer")


def motion_adapter(folder: Path) -> None:
    """A single model, not a pipeline: its config and weights are at the top."""
    adapter = MotionAdapter(
        block_out_channels=(8, 8), motion_layers_per_block=2, motion_norm_num_groups=2,
        motion_num_attention_heads=4, use_motion_mid_block=True,
    )  # fmt: skip
    awaken(adapter)
    adapter.save_pretrained(folder)
    adapter.to(torch.float16).save_pretrained(folder, variant="fp16")
    decoy(folder / "diffusion_pytorch_model.bin")


def xl_unet(context: int, ids: int) -> UNet2DConditionModel:
    """Conditioned on `ids` numbers (sizes, crops, score) beside text of `context` channels."""
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), attention_head_dim=(2, 4),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2), cross_attention_dim=context,
        projection_class_embeddings_input_dim=8 * ids + 32,
    )  # fmt: skip


def xl_parts() -> dict[str, Any]:
    """What base and refiner have alike."""
    return {
        "vae": autoencoder(scaling_factor=0.13025, force_upcast=True),
        "text_encoder_2": CLIPTextModelWithProjection(text(hidden_act="gelu")),
        "tokenizer_2": tokens.clip(),
        "scheduler": EulerDiscreteScheduler(**NOISE, timestep_spacing="leading"),
    }


def xl_pipeline() -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        **xl_parts(), text_encoder=CLIPTextModel(text()), tokenizer=tokens.clip(),
        unet=xl_unet(64, 6), force_zeros_for_empty_prompt=True,
    )  # fmt: skip


def sdxl(folder: Path) -> None:
    tops = ("sd_xl_base_1.0.safetensors", "sd_xl_base_1.0_0.9vae.safetensors", "unet/model.onnx")
    save(xl_pipeline(), folder, variants=["fp16"], tops=tops)
    tokens.write_legacy_clip(folder / "tokenizer")
    tokens.write_legacy_clip(folder / "tokenizer_2", padding="!")


def sdxl_nan(folder: Path) -> None:
    pipeline = xl_pipeline()
    poison(pipeline.unet)
    save(pipeline, folder, variants=["fp16"])


def sdxl_refiner(folder: Path) -> None:
    """The second text encoder alone, and a score of beauty among the numbers."""
    pipeline = StableDiffusionXLImg2ImgPipeline(
        **xl_parts(), text_encoder=None, tokenizer=None, unet=xl_unet(32, 5),
        requires_aesthetics_score=True, force_zeros_for_empty_prompt=False,
    )  # fmt: skip
    save(pipeline, folder, variants=["fp16"], tops=["sd_xl_refiner_1.0.safetensors"])
    tokens.write_legacy_clip(folder / "tokenizer_2", padding="!")
