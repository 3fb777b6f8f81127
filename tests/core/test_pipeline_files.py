"""Which files a diffusers pipeline loads, out of all that a repo keeps."""

from __future__ import annotations

import pytest

from cvl.core.pipeline_files import pipeline_files
from cvl.core.weights import Listing, RepoFile

SVD = """\
.gitattributes README.md model_index.json svd_xt.safetensors svd_xt_image_decoder.safetensors
comfy_workflows/a.json feature_extractor/preprocessor_config.json image_encoder/config.json
image_encoder/model.fp16.safetensors image_encoder/model.safetensors
scheduler/scheduler_config.json unet/config.json unet/diffusion_pytorch_model.fp16.safetensors
unet/diffusion_pytorch_model.safetensors vae/config.json
vae/diffusion_pytorch_model.fp16.safetensors vae/diffusion_pytorch_model.safetensors"""
WAN = """\
README.md assets/logo.png examples/i2v.jpg model_index.json scheduler/scheduler_config.json
text_encoder/config.json text_encoder/model-00001-of-00002.safetensors
text_encoder/model-00002-of-00002.safetensors text_encoder/model.safetensors.index.json
tokenizer/special_tokens_map.json tokenizer/spiece.model tokenizer/tokenizer.json
transformer/config.json transformer/diffusion_pytorch_model-00001-of-00002.safetensors
transformer/diffusion_pytorch_model-00002-of-00002.safetensors
transformer/diffusion_pytorch_model.safetensors.index.json vae/config.json
vae/diffusion_pytorch_model.safetensors"""
OLD = """\
model_index.json scheduler/scheduler_config.json text_encoder/config.json
text_encoder/pytorch_model.bin tokenizer/merges.txt tokenizer/vocab.json unet/config.json
unet/diffusion_pytorch_model.bin vae/config.json vae/diffusion_pytorch_model.bin
vae/diffusion_pytorch_model.safetensors zeroscope_v2_576w.pth
zs2_576w/open_clip_pytorch_model.bin zs2_576w/text2video_pytorch_model.pth"""
SDXL = """\
model_index.json sd_xl_base_1.0.safetensors text_encoder/config.json text_encoder/flax_model.msgpack
text_encoder/model.fp16.safetensors text_encoder/model.onnx text_encoder/model.safetensors
text_encoder/openvino_model.bin text_encoder/openvino_model.xml unet/config.json
unet/diffusion_pytorch_model.fp16.safetensors unet/diffusion_pytorch_model.safetensors
unet/model.onnx_data vae/config.json vae/diffusion_pytorch_model.safetensors"""


def weights(text: str, variant: str = "") -> list[str]:
    """Without what is no weights."""
    found = pipeline_files(text.split(), variant)
    assert "model_index.json" in found
    return sorted(path for path in found if path.endswith((".safetensors", ".bin", ".pth")))


def test_one_set_of_weights_for_each_component_and_none_of_the_whole() -> None:
    assert weights(SVD) == [
        "image_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert weights(SVD, "fp16") == [
        "image_encoder/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ]


def test_all_shards_with_their_index_and_the_tokenizer() -> None:
    found = pipeline_files(WAN.split())
    assert found == set(WAN.split()) - {"README.md", "assets/logo.png", "examples/i2v.jpg"}


def test_pickles_only_where_there_is_nothing_else() -> None:
    assert weights(OLD) == [
        "text_encoder/pytorch_model.bin",
        "unet/diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.safetensors",
    ]


def test_a_component_without_the_variant_comes_as_it_is_and_other_programs_files_never() -> None:
    assert weights(SDXL, "fp16") == [
        "text_encoder/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert not [path for path in pipeline_files(SDXL.split()) if "onnx" in path or "flax" in path]


@pytest.mark.parametrize(
    ("text", "pattern", "why"),
    [
        ("config.json model.safetensors", "diffusers", "is no diffusers pipeline: it has no"),
        (WAN, "diffusers:fp16", "has no weights of the variant fp16"),
        (WAN, "*.gguf", "has no file that matches *.gguf"),
    ],
)
def test_where_there_is_nothing_it_says_why(text: str, pattern: str, why: str) -> None:
    listing = Listing("a/b", "0" * 40, {path: RepoFile(1, path) for path in text.split()})
    assert listing.matching([pattern]) == {}
    assert listing.lacks([pattern]).startswith(why)
    assert listing.matching([pattern, "*/config.json", "config.json"])
