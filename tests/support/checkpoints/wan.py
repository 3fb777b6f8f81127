"""Wan 2.1 and 2.2: text to video, image to video, two experts, and the model that does both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    UMT5Config,
    UMT5EncoderModel,
)

from . import tokens
from .layout import awaken, contrast, forget, poison, save

TOKENIZER = {"tokenizer": "T5TokenizerFast"}
EXPERTS = ("transformer_2", "boundary_ratio", "expand_timesteps")
GAIN = 2.0


def autoencoder(**config: Any) -> AutoencoderKLWan:
    """8 times smaller each way and 4 in time, with the real 16 channels of latents."""
    vae = AutoencoderKLWan(
        base_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
        temperal_downsample=[False, True, True], **config,
    )  # fmt: skip
    contrast(vae.decoder.conv_out, GAIN)
    return vae


def autoencoder_5b() -> AutoencoderKLWan:
    """16 times smaller each way: patches of 2x2 first, and 48 channels of latents."""
    return autoencoder(
        z_dim=48, decoder_base_dim=4, is_residual=True, patch_size=2, in_channels=12,
        out_channels=12, scale_factor_spatial=16, scale_factor_temporal=4,
        latents_mean=[0.0] * 48, latents_std=[1.0] * 48,
    )  # fmt: skip


def transformer(inputs: int = 16, outputs: int = 16, **config: Any) -> WanTransformer3DModel:
    model = WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=inputs, out_channels=outputs,
        text_dim=32, freq_dim=64, ffn_dim=32, num_layers=2, rope_max_seq_len=1024, **config,
    )  # fmt: skip
    awaken(model)
    contrast(model.proj_out, 2 * GAIN)
    return model


def parts(shift: float = 3.0) -> dict[str, Any]:
    """Text encoder, tokenizer and scheduler: the same for all."""
    encoder = UMT5Config(
        vocab_size=tokens.T5_VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False,
        pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift
    )
    return {
        "tokenizer": tokens.t5(), "text_encoder": UMT5EncoderModel(encoder), "scheduler": scheduler,
    }  # fmt: skip


def vision() -> dict[str, Any]:
    """What Wan 2.1 sees its first image with."""
    config = CLIPVisionConfig(
        hidden_size=16, projection_dim=16, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=16, image_size=224, patch_size=56,
    )  # fmt: skip
    processor = CLIPImageProcessor(crop_size=224, size=224)
    return {"image_encoder": CLIPVisionModelWithProjection(config), "image_processor": processor}


def t2v_pipeline() -> WanPipeline:
    return WanPipeline(**parts(), vae=autoencoder(), transformer=transformer())


def t2v(folder: Path) -> None:
    """As written by an early version, which knew of no second expert."""
    save(t2v_pipeline(), folder, classes=TOKENIZER)
    forget(folder, *EXPERTS)


def t2v_nan(folder: Path) -> None:
    pipeline = t2v_pipeline()
    poison(pipeline.transformer)
    save(pipeline, folder, classes=TOKENIZER)


def t2v_a14b(folder: Path) -> None:
    pipeline = WanPipeline(
        **parts(), vae=autoencoder(), transformer=transformer(), transformer_2=transformer(),
        boundary_ratio=0.875,
    )  # fmt: skip
    save(pipeline, folder, classes=TOKENIZER)


def ti2v_5b(folder: Path) -> None:
    """Loads as text to video; from an image by the class of that name."""
    pipeline = WanPipeline(
        **parts(5.0), vae=autoencoder_5b(), transformer=transformer(48, 48), expand_timesteps=True
    )
    save(pipeline, folder, classes=TOKENIZER)


def i2v(folder: Path) -> None:
    pipeline = WanImageToVideoPipeline(
        **parts(), **vision(), vae=autoencoder(),
        transformer=transformer(36, image_dim=16, added_kv_proj_dim=24),
    )  # fmt: skip
    save(pipeline, folder, classes=TOKENIZER)
    forget(folder, *EXPERTS)


def i2v_a14b(folder: Path) -> None:
    pipeline = WanImageToVideoPipeline(
        **parts(), vae=autoencoder(), transformer=transformer(36), transformer_2=transformer(36),
        boundary_ratio=0.9,
    )  # fmt: skip
    save(pipeline, folder, classes=TOKENIZER)
