"""The tree is the architecture: who may import whom, and how large anything may get."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvl import faultpoint

ROOT = Path(__file__).parent.parent
LAYERS = {
    "errors": 0, "faultpoint": 0, "disks": 1, "core": 1, "engine": 2, "store": 2, "hub": 2,
    "machine": 2, "ops": 3, "cli": 4, "server": 4,
}  # fmt: skip
IMPURE = {"os", "subprocess", "socket", "time", "threading"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(*folders: str) -> list[Path]:
    """Python files below folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


CVL = [path for path in python_files("cvl") if "inside" not in path.relative_to(ROOT).parts]
INSIDE = python_files("cvl/inside")
ALL = python_files("cvl", "tests", "examples")
TREES = {path: ast.parse(path.read_bytes()) for path in ALL}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    """Dotted name of a file of the repository."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module_of(path) for path in ALL}


def imports(path: Path, nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Absolute names of the modules that import statements name."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *filter(None, [node.module])]) if node.level else node.module
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in MODULES else str(base)


def all_imports(path: Path) -> set[str]:
    """Also those inside functions and under TYPE_CHECKING."""
    return set(imports(path, ast.walk(TREES[path])))


def top_imports(path: Path) -> set[str]:
    """Those that run when the module is imported."""
    return set(imports(path, iter(TREES[path].body)))


def layer(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "cvl" and len(parts) > 1 and parts[1] in LAYERS else None


@pytest.mark.parametrize("path", CVL, ids=short)
def test_imports_point_one_way(path: Path) -> None:
    """Within a layer and downwards, not to a neighbour on the same level."""
    mine = layer(module_of(path))
    if mine is None:
        return
    used = {layer(module) for module in all_imports(path)} - {None}
    below = {name for name, level in LAYERS.items() if level < LAYERS[mine]}
    assert used - below - {mine} == set()


@pytest.mark.parametrize("path", python_files("cvl/core"), ids=short)
def test_the_core_is_pure(path: Path) -> None:
    assert {module.partition(".")[0] for module in all_imports(path)} & IMPURE == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {module_of(path): path for path in python_files("cvl")}
    needs = {name: top_imports(path) & names.keys() - {name} for name, path in names.items()}
    while free := [name for name, wanted in needs.items() if not wanted & needs.keys()]:
        for name in free:
            del needs[name]
    assert needs == {}


@pytest.mark.parametrize("path", python_files("examples"), ids=short)
def test_examples_do_not_know_cvl(path: Path) -> None:
    """Nor each other: a package that is imported from within itself is the example's own."""
    own = ".".join(path.relative_to(ROOT).parts[:2])
    others = {module for module in all_imports(path) if not module.startswith(f"{own}.")}
    assert {module.partition(".")[0] for module in others} & {"cvl", "examples"} == set()


@pytest.mark.parametrize("path", CVL, ids=short)
def test_cvl_does_not_know_its_examples_or_tests(path: Path) -> None:
    roots = {module.partition(".")[0] for module in all_imports(path)}
    assert roots & {"examples", "tests"} == set()


DECODERS = ("PIL", "imageio_ffmpeg")
PARTS = {
    "diffusion": ("PIL", "numpy", "torch", "torchao", "diffusers"),
    "avatar": ("cv2", "numpy"),
    "faces": ("cv2", "numpy", "torch"),
}
NETWORKS = "faces"
"""A part of classes that torch's are the base of: its modules import what they need at the top, and
nothing but an example imports them."""


@pytest.mark.parametrize("path", INSIDE, ids=short)
def test_what_runs_inside_needs_the_standard_library_alone(path: Path) -> None:
    """Of an image's own decoders, and of what a part is made for, it uses what is there."""
    if path.name == "__init__.py" and path.parent.name == "inside":
        return
    roots = {module.partition(".")[0] for module in all_imports(path)}
    top = {module.partition(".")[0] for module in top_imports(path)}
    allowed = {"cvl", *PARTS.get(path.parent.name, DECODERS)}
    networks = path.parent.name == NETWORKS and path.name != "__init__.py"
    assert top - set(sys.stdlib_module_names) - (allowed if networks else {"cvl"}) == set()
    assert roots - set(sys.stdlib_module_names) - allowed == set()
    assert not [m for m in all_imports(path) if m.startswith("cvl.") and "cvl_inside" not in m]
    ast.parse(path.read_bytes(), feature_version=(3, 8))


@pytest.mark.parametrize("path", INSIDE, ids=short)
def test_networks_are_loaded_by_who_uses_them(path: Path) -> None:
    if path.parent.name != NETWORKS:
        assert not [
            module for module in all_imports(path) if f"cvl_inside.{NETWORKS}." in f"{module}."
        ]


@pytest.mark.parametrize("path", ALL, ids=short)
def test_modules_and_functions_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    assert [f"{f.name}: {length(f)}" for f in functions(path) if length(f) > 60] == []


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(TREES[path]) if isinstance(node, Function)]


def length(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def test_functions_are_short_on_the_whole() -> None:
    lengths = [length(function) for path in python_files("cvl") for function in functions(path)]
    assert statistics.median(lengths) <= 10


@pytest.mark.parametrize("path", python_files("cvl"), ids=short)
def test_everything_is_annotated(path: Path) -> None:
    assert [function.name for function in functions(path) if not annotated(function)] == []


def annotated(function: Function) -> bool:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    bare = [a.arg for a in named if a.annotation is None and a.arg not in ("self", "cls")]
    return function.returns is not None and not bare


def test_every_point_for_a_fault_is_reached_and_no_other() -> None:
    reached = {point for path in CVL for point in points(path)}
    assert reached == set(faultpoint.POINTS)


def points(path: Path) -> Iterator[str]:
    """Literals that are given to `reach`."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call) and "reach" in ast.unparse(node.func).split("."):
            assert isinstance(node.args[0], ast.Constant)
            yield str(node.args[0].value)
