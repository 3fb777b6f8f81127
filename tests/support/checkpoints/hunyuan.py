"""HunyuanVideo 1.0 and 1.5, from text and from an image."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKLHunyuanVideo,
    AutoencoderKLHunyuanVideo15,
    ClassifierFreeGuidance,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideo15ImageToVideoPipeline,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
    HunyuanVideoImageToVideoPipeline,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    Qwen2Tokenizer,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
)

from . import tokens
from .layout import awaken, contrast, save
from .stable import text as clip_text

GAIN = 2.0
FAST = {"tokenizer": "LlamaTokenizerFast"}


def template(pipeline: type) -> dict[str, Any]:
    """The words that a pipeline puts around a prompt, and how many tokens of them it cuts off."""
    default = inspect.signature(pipeline.__call__).parameters["prompt_template"].default
    return dict(default)


def autoencoder() -> AutoencoderKLHunyuanVideo:
    """8 times smaller each way and 4 in time."""
    vae = AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=4
    )
    contrast(vae.decoder.conv_out, GAIN)
    return vae


def transformer(**config: Any) -> HunyuanVideoTransformer3DModel:
    model = HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, text_embed_dim=16, pooled_projection_dim=32,
        rope_axes_dim=(2, 4, 4), **config,
    )  # fmt: skip
    awaken(model)
    contrast(model.proj_out, GAIN)
    return model


def llama() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=tokens.LLAMA_VOCABULARY, hidden_size=16, intermediate_size=32,
        num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, max_position_embeddings=2048,
    )  # fmt: skip


def llava(image_token: int) -> LlavaForConditionalGeneration:
    """Sees an image as the 576 tokens that the pipeline counts on."""
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        image_size=336, patch_size=14, projection_dim=16,
    )  # fmt: skip
    config = LlavaConfig(
        text_config=llama(), vision_config=vision, image_token_id=image_token, pad_token_id=0
    )
    return LlavaForConditionalGeneration(config)


def parts() -> dict[str, Any]:
    return {
        "vae": autoencoder(), "text_encoder_2": CLIPTextModel(clip_text()),
        "tokenizer_2": tokens.clip(), "scheduler": FlowMatchEulerDiscreteScheduler(shift=7.0),
    }  # fmt: skip


def hunyuan(folder: Path) -> None:
    pipeline = HunyuanVideoPipeline(
        **parts(), text_encoder=LlamaModel(llama()), transformer=transformer(),
        tokenizer=tokens.llama(template(HunyuanVideoPipeline)),
    )  # fmt: skip
    save(pipeline, folder, classes=FAST)


def hunyuan_i2v(folder: Path) -> None:
    tokenizer = tokens.llama(template(HunyuanVideoImageToVideoPipeline))
    pipeline = HunyuanVideoImageToVideoPipeline(
        **parts(), text_encoder=llava(tokenizer.convert_tokens_to_ids("<image>")),
        transformer=transformer(image_condition_type="token_replace"), tokenizer=tokenizer,
        image_processor=CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=336),
    )  # fmt: skip
    save(pipeline, folder, classes=FAST)


def qwen() -> Qwen2Tokenizer:
    """In whose tokens the system's message is as long as the pipeline counts on."""
    defaults = inspect.signature(HunyuanVideo15Pipeline._get_mllm_prompt_embeds).parameters
    message = defaults["system_message"].default
    before = f"<|im_start|>system\n{message}<|im_end|>\n<|im_start|>user\n"
    return tokens.qwen(before, defaults["crop_start"].default)


def transformer_15(task: str) -> HunyuanVideo15Transformer3DModel:
    """`target_size` is 64 here (the real one: 640): the size of what is made where none is given.

    Two layers for the glyphs of a prompt are 2048 wide in the code: most of the 5 M parameters.
    """
    model = HunyuanVideo15Transformer3DModel(
        in_channels=9, out_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=2,
        num_refiner_layers=1, mlp_ratio=2.0, text_embed_dim=16, text_embed_2_dim=32,
        image_embed_dim=16, rope_axes_dim=(2, 2, 4), target_size=64, task_type=task,
    )  # fmt: skip
    awaken(model)
    contrast(model.proj_out, GAIN)
    return model


def parts_15(task: str, shift: float) -> dict[str, Any]:
    """16 times smaller each way and 4 in time."""
    vae = AutoencoderKLHunyuanVideo15(
        latent_channels=4, block_out_channels=(8, 8, 16, 16, 16), layers_per_block=1
    )
    contrast(vae.decoder.conv_out, GAIN)
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6}
    words = Qwen2_5_VLTextConfig(
        vocab_size=tokens.QWEN_VOCABULARY, hidden_size=16, intermediate_size=32,
        num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=4096, rope_parameters=rope, bos_token_id=None, eos_token_id=258,
    )  # fmt: skip
    glyphs = T5Config(
        vocab_size=384, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False,
    )  # fmt: skip
    return {
        "vae": vae, "transformer": transformer_15(task), "tokenizer": qwen(),
        "text_encoder": Qwen2_5_VLTextModel(words), "tokenizer_2": tokens.byt5(),
        "text_encoder_2": T5EncoderModel(glyphs), "guider": ClassifierFreeGuidance(6.0),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=shift),
    }  # fmt: skip


def hunyuan_15(folder: Path) -> None:
    pipeline = HunyuanVideo15Pipeline(**parts_15("t2v", 5.0))
    save(pipeline, folder, classes={"tokenizer": "Qwen2TokenizerFast"})


def hunyuan_15_i2v(folder: Path) -> None:
    """An image is 27x27 = 729 tokens, as the pipeline counts on."""
    config = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        image_size=54, patch_size=2,
    )  # fmt: skip
    pipeline = HunyuanVideo15ImageToVideoPipeline(
        **parts_15("i2v", 7.0), image_encoder=SiglipVisionModel(config),
        feature_extractor=SiglipImageProcessor(size={"height": 54, "width": 54}),
    )  # fmt: skip
    save(pipeline, folder, classes={"tokenizer": "Qwen2TokenizerFast"})
