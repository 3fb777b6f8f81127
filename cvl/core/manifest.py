"""The manifest of an example as frozen values. One definition: validation and JSON Schema are read
off these classes by core/validation.py; nothing here imports pydantic, so that a command that only
lists examples stays fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

ItemType = Literal[
    "string", "integer", "number", "boolean", "choice", "json",
    "audio", "image", "video", "file", "directory",
]  # fmt: skip
InputType = Literal[
    "string", "integer", "number", "boolean", "choice", "json",
    "audio", "image", "video", "file", "directory", "list",
]  # fmt: skip
OutputType = Literal["audio", "image", "video", "file", "directory", "json"]
Tasks = tuple[str, ...]

FILE_TYPES = frozenset(("audio", "image", "video", "file", "directory"))
FORBID: dict[str, Any] = {"extra": "forbid", "strict": True, "use_attribute_docstrings": True}


@dataclass(frozen=True)
class InputSpec:
    """One declared input: an option of the command line, a field of the HTTP schema and form."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    type: InputType
    of: ItemType | None = None
    """Type of the items of a list."""
    help: str = ""
    default: Any = None
    optional: bool = False
    """May be left out without having a default; the predictor then gets None."""
    min: float | None = None
    max: float | None = None
    choices: tuple[str | int | float, ...] = ()
    max_length: int | None = None
    """Characters of a string."""
    max_items: int | None = None
    max_seconds: float | None = None
    """Longest audio or video."""
    max_pixels: int | None = None
    """Largest width x height of an image or video."""
    pattern: str | None = None
    """Regular expression that a string must match as a whole."""

    @property
    def item_type(self) -> str:
        """Type of one value: `of` for a list."""
        return (self.of or "string") if self.type == "list" else self.type

    @property
    def is_file(self) -> bool:
        return self.item_type in FILE_TYPES

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional


@dataclass(frozen=True)
class Expect:
    """Streams an output must have; None means that it does not matter."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    video: bool | None = None
    audio: bool | None = None


@dataclass(frozen=True)
class OutputSpec:
    """One declared output of a model."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    type: OutputType
    default: str
    """File name when the caller gives none; its extension is the default format."""
    formats: tuple[str, ...] = ()
    """Extensions without the dot; empty means every one of the type."""
    expect: Expect = field(default_factory=Expect)
    optional: bool = False
    """Made only when asked for."""
    help: str = ""


@dataclass(frozen=True)
class ModelLicense:
    """Of a repo that an input may name instead of its default."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    weights: str
    commercial: bool = False
    """May the code be used commercially with these weights?"""


@dataclass(frozen=True)
class License:
    """Of the code, and of the weights that are used when no input names others."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    code: str
    weights: str = "none"
    commercial: bool = False
    """May both be used commercially?"""
    models: dict[str, ModelLicense] = field(default_factory=dict)
    """Repos that an input may name. The licence of one that is not here is unknown."""


@dataclass(frozen=True)
class Source:
    """What this example agrees with."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    repo: str = ""
    commit: str = ""
    paper: str = ""


@dataclass(frozen=True)
class Weights:
    """Files at a pinned identity: a Hugging Face repo at a revision, or a URL with sha256 and
    size."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    repo: str = ""
    revision: str = "main"
    files: tuple[str, ...] = ()
    size_gb: float | None = None
    url: str = ""
    sha256: str = ""
    size: int | None = None
    to: str = ""
    format: Literal["safetensors", "pickle", "gguf", "onnx", "other"] = "safetensors"
    gated: bool = False
    when: dict[str, str] = field(default_factory=dict)
    """Needed only with these values of inputs that are choices: `{enhancer: gfpgan}`."""
    license: ModelLicense | None = None
    """When it is another than that of the manifest."""


@dataclass(frozen=True)
class Resources:
    """What a step needs. GB are 10^9 bytes as on a box; GiB would be said."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    gpu: Literal["none", "optional", "required"] = "none"
    gpus: int = 1
    vram_gb: float = 0
    ram_gb: float = 0
    disk_gb: float = 0
    shm_gb: float = 1
    min_compute_capability: str = ""
    memory_limit_gb: float | None = None
    """Hard limit of the container; when not given, the machine's memory less 2 GB."""
    file_size_gb: float = 20
    """Largest file that the container may write."""
    pids: int = 4096


@dataclass(frozen=True)
class OffloadRung:
    """One way to trade speed for memory; `exact` when it does not change the result."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    mode: str
    vram_gb: float = 0
    exact: bool = True
    vram_gb_for: dict[str, dict[str, float]] = field(default_factory=dict)
    """What it needs with other values of an input than the default: `{size: {"384*256": 40}}`; of a
    boolean, `{graphs: {"True": 40}}`."""


@dataclass(frozen=True)
class Step:
    """One step of a pipeline."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    uses: str
    with_: dict[str, Any] = field(default_factory=dict)
    foreach: dict[str, str] = field(default_factory=dict)
    """One name for the item, and where the items come from: `{scene: ${script.scenes}}`, a list
    input, a json output that holds a list, or the outputs of another step with foreach. Each item
    is a step of its own; the outputs become lists, in order."""
    at_once: int = 4
    """Items of a foreach that run side by side, at most."""
    given: dict[str, str] = field(default_factory=dict)
    """Output -> the optional input of the pipeline that stands for it: `{audio: ${inputs.audio}}`.
    When the caller gives all of them, the step does not run; else it runs, and needs what it
    needs."""
    fallback: tuple[str, ...] = ()
    """Examples that take over, in order, when the one in `uses` has no GPU, memory, disk or weights
    here, when the engine fails, or when it runs out of memory. Each takes the same inputs."""


@dataclass(frozen=True)
class ModelManifest:
    """`kind: model`: a folder with a Dockerfile and a predict.py."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    name: str
    summary: str
    license: License
    inputs: dict[str, InputSpec]
    outputs: dict[str, OutputSpec]
    kind: Literal["model"] = "model"
    tasks: Tasks = ()
    source: Source = field(default_factory=Source)
    weights: tuple[Weights, ...] = ()
    loras: bool = False
    """Takes `--lora`: the predictor finds them in ctx.loras."""
    inside: tuple[Literal["avatar", "diffusion", "faces"], ...] = ()
    """Parts of cvl_inside that its predict.py uses and that can change a result: they are in its
    step key."""
    resources: Resources = field(default_factory=Resources)
    offload: tuple[OffloadRung, ...] = ()
    dtypes: tuple[Literal["bf16", "fp16", "fp32"], ...] = ()
    """What it can compute in, which `--dtype` chooses from; none when it leaves no choice."""
    engines: tuple[Literal["docker", "venv"], ...] = ("docker",)
    image: str = ""
    """A prebuilt image to pull instead of building."""
    samples: dict[str, Any] = field(default_factory=dict)
    """Inputs of the example's own smoke test; files are relative to the folder."""
    cache: Literal["reuse", "never"] = "reuse"
    secrets: tuple[str, ...] = ()
    network: bool = False


@dataclass(frozen=True)
class PipelineManifest:
    """`kind: pipeline`: steps that use other examples."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID
    name: str
    summary: str
    inputs: dict[str, InputSpec]
    steps: dict[str, Step]
    outputs: dict[str, str]
    """Output name -> `${step.output}`; the first is what `--output` names."""
    kind: Literal["pipeline"] = "pipeline"
    tasks: Tasks = ()
    samples: dict[str, Any] = field(default_factory=dict)


Manifest = ModelManifest | PipelineManifest
