"""Whatever a manifest, a program, a file or an engine says: none of it acts on a terminal, nor
looks like a line of ours."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cvl.core.provenance import encode
from cvl.core.provenance.sidecar import Sidecar, StepRun, encode_sidecar
from cvl.store.patching import copy_patched, patch_of
from tests.cli.terminals import on_terminal
from tests.support.escapes import FORGED, NAME, TEXT, raw_in
from tests.support.files import picture
from tests.support.hostile_engine import hostile_engine
from tests.support.statements import ORIGIN, statement


def quoted(text: str) -> str:
    """As a YAML string of any characters."""
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


REPOSITORY = Path(__file__).parent.parent.parent
FULL = bool(os.environ.get("CVL_TEST_FULL"))
MANIFEST = f"""\
name: acts
summary: {quoted(TEXT)}
license: {{code: {quoted(TEXT)}}}
source: {{repo: {quoted(TEXT)}}}
engines: [venv]
inputs:
  act: {{type: string, default: ok, help: {quoted(TEXT)}}}
  mood: {{type: choice, choices: [{quoted(TEXT)}, good], default: good}}
  file: {{type: file, optional: true}}
outputs:
  result: {{type: file, default: result.txt, help: {quoted(TEXT)}}}
"""
PREDICT = f"""\
import os, sys
from pathlib import Path
from cvl_inside import Predictor, run
TEXT = {TEXT!r}
class Acts(Predictor):
    def predict(self, ctx, *, act, mood, file):
        for stream in (sys.stdout, sys.stderr):
            stream.buffer.write(TEXT.encode() + TEXT.encode("latin-1", "replace"))
            stream.flush()
        ctx.progress(1, 2, TEXT)
        ctx.metric(TEXT, 1)
        ctx.warning(TEXT)
        if act == "raise":
            raise RuntimeError(TEXT)
        if act == "exit":
            os._exit(9)
        Path(ctx.output("result")).write_text("made")
        return {{"result": ctx.output("result")}}
run(Acts)
"""
BROKEN = {
    "unknown_key": f"name: unknown_key\n{quoted(TEXT[:60])}: 1\n",
    "wrong_type": f"name: wrong_type\nkind: {quoted(TEXT)}\n",
    "wrong_name": f"name: {quoted(TEXT)}\nsummary: x\n",
    "no_yaml": f"name: [{TEXT}\n",
}


@dataclass(frozen=True)
class World:
    """A folder in which everything has hostile words in it."""

    folder: Path
    environment: dict[str, str]

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cvl", *words]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    examples = folder / NAME
    for name, text in {"acts": MANIFEST, **BROKEN}.items():
        (examples / name).mkdir(parents=True)
        (examples / name / "example.yaml").write_text(text)
        (examples / name / "predict.py").write_text(PREDICT)
        (examples / name / "requirements.lock").write_text("")
    dropped = ("CVL_", "DOCKER_", "HF_", "XDG_", "UV_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    environment |= {
        "CVL_HOME": str(folder / f"home {NAME}"), "CVL_EXAMPLES": str(examples),
        "HOME": str(folder), "PYTHONPATH": str(REPOSITORY), "UV_OFFLINE": "1", "COLUMNS": "80",
    }  # fmt: skip
    (folder / NAME / "given.txt").write_text("given")
    (folder / f"{NAME}.mp4").write_bytes(b"\0\0\0\x18ftyp" + TEXT.encode())
    _write_statements(folder)
    with hostile_engine(folder) as answers, hostile_engine(folder, refuses=True) as refuses:
        yield World(folder, environment | {"DOCKER_HOST": answers, "REFUSES": refuses})


def _write_statements(folder: Path) -> None:
    """A picture and a sidecar that say hostile things of how their file was made."""
    origin = replace(ORIGIN, example="acts", image=TEXT, device=TEXT, dtype=TEXT, offload=TEXT)
    told = statement(
        example="acts", cvl=TEXT, graph=TEXT, arguments={"act": TEXT}, steps={"acts": origin}
    )
    plain = picture(folder / "plain.png", 4, 4)
    patch = patch_of(plain, encode(told))
    assert patch is not None
    copy_patched(plain, folder / f"{NAME}.png", 0o644, patch)
    for name in ("beside.txt", "lies.txt"):
        (folder / name).write_text("made")
    digest = hashlib.sha256(b"made").hexdigest()
    steps = {TEXT: StepRun(False, 1.0, {TEXT: 1.0})}
    sidecar = Sidecar("cvl-sidecar/1", told, digest, TEXT, TEXT, 1.0, {TEXT: TEXT}, steps, (TEXT,))
    (folder / "beside.txt.cvl.json").write_bytes(encode_sidecar(sidecar))
    (folder / "lies.txt.cvl.json").write_bytes(
        encode_sidecar(replace(sidecar, provenance=statement(example=TEXT)))
    )


RUN = ("run", "acts", "predict", "--no-cache")
RUNS = {
    "a run": (*RUN, "--overwrite"),
    "a run as json": (*RUN, "--overwrite", "--json", "--progress", "json"),
    "files with names": (
        *RUN,
        "--file",
        f"{NAME}/given.txt",
        "--output",
        f"{NAME}.txt",
        "--sidecar",
        "--overwrite",
    ),
    "a failure": (*RUN, "--act", "raise"),
    "a failure as json": (*RUN, "--act", "raise", "--json", "--progress", "json"),
    "last words": (*RUN, "--act", "exit"),
    "a test of its own": ("run", "acts", "test", "--junit", f"{NAME}.xml"),
}
"""They come first: the others look at what they left."""
LOOKS = {
    "list": ("list",),
    "info": ("info", "acts"),
    "help": ("run", "acts", "predict", "--help"),
    "validate": ("validate",),
    "dry run": ("run", "acts", "predict", "--dry-run", "--act", TEXT, "--output", f"{NAME}.txt"),
    "ps": ("ps", "--all"),
    "ps as json": ("ps", "--all", "--json"),
    "logs": ("logs", "last"),
    "logs as json": ("logs", "last", "--json"),
    "logs that are followed": ("logs", "last", "--follow"),
    "inspect": ("inspect", f"{NAME}.png"),
    "inspect a sidecar": ("inspect", "beside.txt"),
    "inspect lies": ("inspect", "lies.txt"),
    "inspect what it cannot": ("inspect", f"{NAME}.mp4"),
    "inspect as json": ("inspect", f"{NAME}.png", "--json"),
    "rerun": ("rerun", f"{NAME}.png", "--dry-run", "--changed"),
    "rerun a sidecar": ("rerun", "beside.txt", "--output", f"{NAME}2.txt"),
    "df": ("df",),
    "gc": ("gc", "--dry-run", "--superseded-gb", "0"),
    "doctor": ("doctor", "--no-container"),
    "doctor as json": ("doctor", "--no-container", "--json"),
    "an image": ("run", "acts", "build", "--engine", "docker"),
    "a shell": ("shell", "last", "--command", "true", "--json"),
    "a value": ("run", "acts", "predict", "--mood", TEXT + "!"),
    "a file that is not there": ("run", "acts", "predict", "--file", f"{NAME}.wav"),
    "a folder that is not there": ("run", "acts", "predict", "--output", f"{NAME}no/x.txt"),
    "an option": ("run", "acts", "predict", f"--{TEXT}"),
    "an example": ("run", TEXT, "predict"),
    "a verb": ("run", "acts", TEXT),
    "a command": (TEXT,),
    "an option of cvl": (f"--{TEXT}",),
    "a run that is not": ("logs", TEXT),
    "a folder of examples": ("list", "--examples", f"{NAME}.mp4"),
    "a name": ("init", TEXT, "--dir", f"{NAME}-new"),
    "a traceback": ("run", TEXT, "predict", "--debug"),
    "explain": ("run", "acts", "predict", "--act", TEXT, "--explain", "--overwrite"),
    **{f"a manifest with {name}": ("info", name) for name in BROKEN},
}


def shown(world: World, words: tuple[str, ...], **more: str) -> list[str]:
    """What is raw in the output of a command on a terminal and, where there is time for all, on
    pipes. Lines of a log are a program's own, whatever they look like."""
    environment = {**world.environment, **more}
    _, screen = on_terminal(world.command(*words), environment, world.folder)
    found = raw_in(screen, terminal=True)
    said = [screen]
    if FULL:
        piped = subprocess.run(
            world.command(*words), env=environment, cwd=world.folder, capture_output=True,
            timeout=60, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        said.append(piped.stdout.decode() + piped.stderr.decode())
        found += raw_in(said[-1])
    assert all(said) and "internal error" not in screen, (words, said)
    assert "--debug" in words or not any("Traceback" in text for text in said), said
    return [f for f in found if words[0] != "logs" or not f.startswith(FORGED)]


def every(world: World, commands: dict[str, tuple[str, ...]], **more: str) -> dict[str, list[str]]:
    """Command -> what of its output is raw; those without any are left out."""
    found = {name: shown(world, words, **more) for name, words in commands.items()}
    return {name: raw for name, raw in found.items() if raw}


def test_nothing_that_a_program_or_a_file_says_acts_on_a_terminal(world: World) -> None:
    assert every(world, RUNS) == {}
    run = sorted((world.folder / f"home {NAME}" / "state" / "runs").iterdir())[-1]
    (run / f"{NAME}.log").write_text(TEXT)
    assert every(world, LOOKS) == {}


ASK = {"ps": ("ps",), "df": ("df",), "gc": ("gc", "--dry-run"), "doctor": ("doctor",)}


def test_nothing_that_an_engine_says_when_it_refuses_acts_on_a_terminal(world: World) -> None:
    refuses = {"DOCKER_HOST": world.environment["REFUSES"]}
    assert every(world, ASK, **refuses) == {}


def test_nothing_in_a_configuration_acts_on_a_terminal(world: World) -> None:
    """Keys and values that are none, and paths."""
    value = json.dumps(TEXT).replace("\\u001b", "\\u001B")
    lines = [f"{value} = 1", TEXT, f"examples = [{value}]"]
    lines += [f"{key} = {value}" for key in ("engine", "ca_bundle", "results_gb")]
    place = world.folder / "project"
    place.mkdir()
    for line in lines:
        (place / "cvl.toml").write_text(line)
        words = ("run", "acts", "predict", "--dry-run")
        assert shown(replace(world, folder=place), words) == [], line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "typed",
    ["cvl run ", "cvl run acts predict --mood ", "cvl run acts predict --", "cvl logs last "],
)
def test_nothing_that_a_shell_is_offered_acts_on_a_terminal(
    shell: str, typed: str, world: World
) -> None:
    words = typed.split()
    asked = {
        "_CVL_COMPLETE": f"{shell}_complete", "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words)) if shell != "fish" else "",
    }  # fmt: skip
    result = subprocess.run(
        world.command(), env={**world.environment, **asked}, cwd=world.folder, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert raw_in(result.stdout.decode() + result.stderr.decode()) == []
