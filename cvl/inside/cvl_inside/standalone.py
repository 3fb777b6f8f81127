"""`python predict.py --text hi --output out.wav` inside the image, without cvl: the same request
from argv."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

NUMBERS = {"integer": int, "number": float}


def request_from_argv(argv: List[str]) -> Dict[str, Any]:
    """The request that cvl would send, made from command-line options and example.json."""
    example = json.loads((Path(sys.argv[0]).resolve().parent / "example.json").read_text())
    options = vars(_parser(example).parse_args(argv))
    inputs = {name: options[f"input_{name}"] for name in example["inputs"]}
    return {
        "inputs": inputs,
        "outputs": _outputs(example["outputs"], options),
        "expect": {name: _check(output) for name, output in example["outputs"].items()},
        "options": {key: options[key] for key in ("device", "dtype", "offload", "seed")},
    }


def _check(output: Dict[str, Any]) -> Dict[str, Any]:
    return {"type": output["type"], "expect": output.get("expect") or {}}


def _outputs(declared: Dict[str, Any], options: Dict[str, Any]) -> Dict[str, str]:
    """Asked-for outputs by name; when none is named, every one that is not optional."""
    primary = next(iter(declared))
    named = {name: options[f"output_{name}"] for name in declared}
    named[primary] = named[primary] or options["output"]
    chosen = {name: path for name, path in named.items() if path}
    if not chosen:
        chosen = {n: o["default"] for n, o in declared.items() if not o.get("optional")}
    return {name: str(Path(path).resolve()) for name, path in chosen.items()}


def _parser(example: Dict[str, Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=example.get("summary"), allow_abbrev=False)
    for name, spec in example["inputs"].items():
        _add_input(parser, name, spec)
    for name in example["outputs"]:
        parser.add_argument(
            f"--output-{name.replace('_', '-')}", dest=f"output_{name}", metavar="PATH"
        )
    parser.add_argument("--output", metavar="PATH", help="the main output")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--offload", default="none")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _add_input(parser: argparse.ArgumentParser, name: str, spec: Dict[str, Any]) -> None:
    flags = sorted({f"--{name}", f"--{name.replace('_', '-')}"}, reverse=True)
    settings: Dict[str, Any] = {
        "dest": f"input_{name}",
        "default": spec.get("default"),
        "help": (spec.get("help") or "").replace("%", "%%"),
        "required": spec.get("default") is None and not spec.get("optional"),
    }
    kind = spec["type"]
    if kind == "list":
        settings["nargs"] = "*"
        kind = spec.get("of", "string")
    if kind == "boolean":
        settings["type"] = _boolean
    elif kind == "choice":
        settings["choices"] = spec["choices"]
        settings["type"] = {str(choice): choice for choice in spec["choices"]}.get
    elif kind == "json":
        settings["type"] = json.loads
    elif kind in NUMBERS:
        settings["type"] = NUMBERS[kind]
    parser.add_argument(*flags, **settings)


def _boolean(text: str) -> Optional[bool]:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
