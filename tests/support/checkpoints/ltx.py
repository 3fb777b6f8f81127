"""LTX-Video and LTX-2 (video with sound), and CogVideoX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    AutoencoderKLLTXVideo,
    CogVideoXDDIMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
    LTX2Pipeline,
    LTX2VideoTransformer3DModel,
    LTXPipeline,
    LTXVideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, T5Config, T5EncoderModel

from . import tokens
from .layout import awaken, contrast, save

GAIN = 2.0


def t5_encoder() -> T5EncoderModel:
    config = T5Config(
        vocab_size=tokens.T5_VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False,
        pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return T5EncoderModel(config)


def flow() -> FlowMatchEulerDiscreteScheduler:
    """Shifted by the number of latents, with the real bounds."""
    return FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024,
        max_image_seq_len=4096, shift_terminal=0.1,
    )  # fmt: skip


def ltx(folder: Path) -> None:
    """32 times smaller each way and 8 in time. Text and image to video load the same folder."""
    transformer = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=4, attention_head_dim=8,
        cross_attention_dim=32, num_layers=2, caption_channels=32,
    )  # fmt: skip
    awaken(transformer)
    vae = AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
        layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 5,
    )  # fmt: skip
    contrast(vae.decoder.conv_out, GAIN)
    pipeline = LTXPipeline(
        scheduler=flow(), vae=vae, text_encoder=t5_encoder(), tokenizer=tokens.t5(128),
        transformer=transformer,
    )  # fmt: skip
    tops = ("ltx-video-2b-v0.9.safetensors", "ltxv-13b-0.9.8-dev.safetensors")
    save(pipeline, folder, tops=tops)
    tokens.write_sentencepiece_t5(folder / "tokenizer")


def gemma(vocabulary: int) -> Gemma3ForConditionalGeneration:
    """Text encoder of two layers, with the eyes that the real one has too."""
    text = {
        "vocab_size": vocabulary + 8, "hidden_size": 16, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
        "max_position_embeddings": 2048, "sliding_window": 64, "pad_token_id": 0,
        "eos_token_id": 1, "bos_token_id": 2,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    config = Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4,
        image_token_index=vocabulary + 1, boi_token_index=vocabulary + 2,
        eoi_token_index=vocabulary + 3,
    )  # fmt: skip
    return Gemma3ForConditionalGeneration(config)


def ltx2_transformer() -> LTX2VideoTransformer3DModel:
    model = LTX2VideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8,
        cross_attention_dim=16, audio_in_channels=4, audio_out_channels=4,
        audio_num_attention_heads=2, audio_attention_head_dim=4, audio_cross_attention_dim=8,
        num_layers=2, caption_channels=16, rope_type="split",
    )  # fmt: skip
    awaken(model)
    return model


def ltx2_connectors() -> LTX2TextConnectors:
    """Three states of text (the real one: 49) to what video and sound are conditioned on."""
    return LTX2TextConnectors(
        caption_channels=16, text_proj_in_factor=3, video_connector_num_attention_heads=4,
        video_connector_attention_head_dim=4, video_connector_num_layers=1,
        audio_connector_num_attention_heads=4, audio_connector_attention_head_dim=4,
        audio_connector_num_layers=1, rope_type="split",
    )  # fmt: skip


def ltx2_autoencoder() -> AutoencoderKLLTX2Video:
    """32 times smaller each way and 8 in time, with the real order of steps."""
    vae = AutoencoderKLLTX2Video(
        latent_channels=4, block_out_channels=(8, 16, 16, 16), layers_per_block=(1,) * 5,
        decoder_block_out_channels=(8, 16, 32), decoder_layers_per_block=(1,) * 4,
        spatial_compression_ratio=32, temporal_compression_ratio=8,
    )  # fmt: skip
    contrast(vae.decoder.conv_out, GAIN)
    return vae


def ltx2_sound() -> tuple[AutoencoderKLLTX2Audio, LTX2Vocoder]:
    """100 mel frames a second, of 8 bands (the real one: 64), to 24,000 samples in stereo."""
    vae = AutoencoderKLLTX2Audio(
        base_channels=4, ch_mult=(1, 1, 1), num_res_blocks=1, resolution=32, latent_channels=2,
        mel_bins=8,
    )  # fmt: skip
    vocoder = LTX2Vocoder(
        in_channels=16, hidden_channels=64, resnet_kernel_sizes=[3], resnet_dilations=[[1, 3, 5]]
    )
    return vae, vocoder


def ltx2(folder: Path) -> None:
    tokenizer = tokens.gemma()
    audio_vae, vocoder = ltx2_sound()
    pipeline = LTX2Pipeline(
        scheduler=flow(), vae=ltx2_autoencoder(), audio_vae=audio_vae, vocoder=vocoder,
        text_encoder=gemma(len(tokenizer)), tokenizer=tokenizer, connectors=ltx2_connectors(),
        transformer=ltx2_transformer(),
    )  # fmt: skip
    tops = ("ltx-2-19b-dev.safetensors", "ltx-2-19b-distilled.safetensors")
    save(pipeline, folder, tops=tops, classes={"tokenizer": "GemmaTokenizerFast"})


def cogvideox_parts(**config: Any) -> dict[str, Any]:
    """8 times smaller each way and 4 in time. Its own size is 32x32 (the real one: 720x480)."""
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, out_channels=4, time_embed_dim=2,
        text_embed_dim=32, num_layers=1, sample_width=4, sample_height=4, sample_frames=9, **config,
    )  # fmt: skip
    awaken(transformer)
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8,) * 4, latent_channels=4, layers_per_block=1, norm_num_groups=2,
    )  # fmt: skip
    contrast(vae.decoder.conv_out, GAIN)
    scheduler = CogVideoXDDIMScheduler(
        beta_start=0.00085, beta_end=0.012, prediction_type="v_prediction", snr_shift_scale=3.0,
        timestep_spacing="trailing", rescale_betas_zero_snr=True,
    )  # fmt: skip
    return {
        "tokenizer": tokens.t5(226), "text_encoder": t5_encoder(), "vae": vae,
        "transformer": transformer, "scheduler": scheduler,
    }  # fmt: skip


def cogvideox(folder: Path) -> None:
    """Any size; the text must be padded to 226 tokens."""
    save(CogVideoXPipeline(**cogvideox_parts(in_channels=4)), folder)
    tokens.write_sentencepiece_t5(folder / "tokenizer")


def cogvideox_i2v(folder: Path) -> None:
    """Positions are learned: its own size alone."""
    learned = cogvideox_parts(
        in_channels=8,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    )
    save(CogVideoXImageToVideoPipeline(**learned), folder)
    tokens.write_sentencepiece_t5(folder / "tokenizer")
