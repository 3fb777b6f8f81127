"""What a shell offers when somebody presses Tab: from local data, quickly, without an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import REPOSITORY, Run, Start, envelope_of, logs_in, make_example
from tests.support.processes import cheap, measured

LIMIT_MS = 300
EXAMPLES = str(REPOSITORY / "examples")
RUN = "20260101-000000-aaaaaa"
OTHER = "20260101-000001-bbbbbb"


def tab(bare: Run, *words: str, shell: str = "bash", env: dict[str, str] | None = None) -> set[str]:
    """What is offered for the last of `words`, as bash is told: `type,value`."""
    asked = {"_CVL_COMPLETE": f"{shell}_complete", "COMP_WORDS": "\n".join(words)}
    asked["COMP_CWORD"] = words[-1] if shell == "fish" else str(len(words) - 1)
    result = bare(env={"CVL_EXAMPLES": EXAMPLES, **asked, **(env or {})})
    assert (result.returncode, result.stderr) == (0, "")
    return set(result.stdout.splitlines())


def plain(*words: str) -> set[str]:
    return {f"plain,{word}" for word in words}


PREDICT = ("cvl", "run", "tts", "predict")
AVATAR = ("cvl", "run", "avatar_video", "predict")
EXACT = [
    (("cvl", "val"), plain("validate")),
    (("cvl", "co"), plain("completion")),
    (("cvl", "--v"), plain("--version")),
    (("cvl", "models", "p"), plain("prune", "pull")),
    (("cvl", "models", "prune", "--dr"), plain("--dry-run")),
    (("cvl", "completion", ""), plain("bash", "zsh", "fish")),
    (("cvl", "run", ""), plain(*(p.parent.name for p in Path(EXAMPLES).glob("*/example.yaml")))),
    (("cvl", "run", "po"), plain("portrait", "postprocess")),
    (("cvl", "run", "--gpus", "none", "po"), plain("portrait", "postprocess")),
    (("cvl", "run", "tts", ""), plain("build", "predict", "test")),
    (("cvl", "run", "--seed", "1", "tts", "p"), plain("predict")),
    (("cvl", "run", "tts", "test", "--ju"), plain("--junit")),
    (("cvl", "run", "tts", "test", "--te"), set()),
    ((*PREDICT, "--te"), plain("--text")),
    ((*PREDICT, "--text", "Hello", "--te"), set()),
    ((*PREDICT, "--sam"), plain("--sample-rate")),
    ((*PREDICT, "--sample_"), plain("--sample_rate")),
    ((*PREDICT, "--voice", "de"), plain("de", "de+f3")),
    ((*PREDICT, "--voice=de"), plain("de", "de+f3")),
    ((*PREDICT, "--voice", "=", "de"), plain("de", "de+f3")),
    ((*PREDICT, "--voice", "="), plain(*["en-us", "slt"]) | {"more"}),
    ((*PREDICT, "--sample-rate", "4"), plain("44100", "48000")),
    ((*PREDICT, "--text", ""), set()),
    ((*PREDICT, "--output", "x"), {"file,x"}),
    ((*PREDICT, "--dtype", "f"), plain("fp32", "fp16")),
    ((*PREDICT, "--progress", "p"), plain("plain")),
    ((*AVATAR, "--image", ""), {"file,"}),
    ((*AVATAR, "--image", "a\\ b"), {"file,a b"}),
    ((*AVATAR, "--examples", "x"), {"dir,x"}),
    ((*AVATAR, "--talk.s"), plain("--talk.sway", *(f"--talk.{name}" for name in (
        "size", "sample-steps", "shift", "start-from-ref", "still", "separate-vocals", "steps",
        "super-resolution")))),
    ((*AVATAR, "--spee"), plain("--speed", *(f"--speech.{name}" for name in (
        "text", "voice", "language", "speed", "pitch", "sample-rate", "pause")))),
    ((*AVATAR, "--speech.voice", "sl"), plain("slt")),
    ((*AVATAR, "--final.audio-mode", ""), plain("replace", "mix")),
    ((*AVATAR, "--final.subtitles", "x"), {"file,x"}),
    (("cvl", "info", "tt"), plain("tts")),
    (("cvl", "validate", "tt"), plain("tts")),
    (("cvl", "validate", "./x"), {"file,./x"}),
    (("cvl", "inspect", "x"), {"file,x"}),
    (("cvl", "rerun", "x"), {"file,x"}),
    (("cvl", "rerun", "x.wav", "--ch"), plain("--changed")),
    (("cvl", "init", "new", "--dir", "x"), {"dir,x"}),
    (("cvl", "demo", "--image", "x"), {"file,x"}),
    (("cvl", "logs", ""), set()),
    (("cvl", "stop", ""), set()),
]  # fmt: skip


@pytest.mark.parametrize(("words", "offered"), EXACT, ids=lambda value: " ".join(sorted(value)))
def test_of_a_word(bare: Run, words: tuple[str, ...], offered: set[str]) -> None:
    found = tab(bare, *words)
    if "more" in offered:
        assert offered - {"more"} < found
    else:
        assert found == offered


def test_of_nothing_typed_yet(bare: Run) -> None:
    """Commands first; after them the options, but not those of all steps."""
    assert tab(bare, "cvl", "") >= plain("run", "shell", "gc", "completion")
    found = tab(bare, *AVATAR, "")
    assert found == tab(bare, *AVATAR, "--")
    assert found >= plain("--text", "--image", "--output", "--seed", "--json")
    assert not [word for word in found if "." in word or "_" in word]


@pytest.mark.parametrize(
    "words",
    [
        ("cvl", "run", "nothing", "predict", "--"),
        ("cvl", "run", "broken", "predict", "--"),
        ("cvl", "logs", "nothing", ""),
        ("cvl", "nothing", ""),
    ],
)
def test_of_what_is_wrong_is_nothing_and_no_text_in_the_middle_of_a_line(
    bare: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    make_example(tmp_path / "examples", "broken", "kind: nonsense\n")
    asked = {"_CVL_COMPLETE": "bash_complete", "COMP_WORDS": "\n".join(words)}
    result = bare(env={**asked, "COMP_CWORD": str(len(words) - 1)})
    assert (result.stdout, result.stderr) == ("", "")


def test_of_examples_elsewhere(bare: Run, tmp_path: Path) -> None:
    make_example(tmp_path / "mine", "movie_maker", "")
    place = str(tmp_path / "mine")
    for words in (("run", "--examples", place, "mov"), ("info", "--examples", place, "mov")):
        assert tab(bare, "cvl", *words) == plain("movie_maker")
    (tmp_path / "cvl.toml").write_text(f"examples = [{json.dumps(place)}]")
    assert tab(bare, "cvl", "info", "mov") == plain("movie_maker")


def test_of_weights(bare: Run, tmp_path: Path) -> None:
    """Examples that have some, repos of theirs, and repos of other programs in the cache."""
    text = (
        "summary: x\nlicense: {code: MIT}\ninputs: {}\nweights: [{repo: moon/movie}]\n"
        "outputs: {result: {type: file, default: r.txt}}\n"
    )
    make_example(tmp_path / "mine", "movie_maker", text)
    (tmp_path / "hub" / "models--mole--map" / "snapshots").mkdir(parents=True)
    env = {"CVL_EXAMPLES": str(tmp_path / "mine"), "HF_HUB_CACHE": str(tmp_path / "hub")}
    found = tab(bare, "cvl", "models", "rm", "mo", env=env)
    assert found == plain("movie_maker", "moon/movie", "mole/map")


def test_of_runs_and_their_steps(bare: Run, start: Start, tmp_path: Path) -> None:
    start(RUN, "polite")
    start(OTHER, "dead")
    logs_in(tmp_path / "home", RUN, speech="a", talk="b")
    for command in ("logs", "stop", "shell"):
        assert tab(bare, "cvl", command, "") == plain("last", RUN, OTHER)
        assert tab(bare, "cvl", command, RUN[:-3]) == plain(RUN)
    assert tab(bare, "cvl", "logs", RUN, "") == plain("speech", "talk")
    assert tab(bare, "cvl", "logs", RUN, "t") == plain("talk")
    told = tab(bare, "cvl", "logs", RUN, shell="fish")
    assert told == {f"plain,{RUN}\tstub predict, running"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_of_a_value_after_an_equals_sign_where_the_whole_word_is_replaced(
    bare: Run, shell: str
) -> None:
    found = tab(bare, *PREDICT, "--voice=slt", shell=shell)
    assert found & {"--voice=slt", "plain,--voice=slt"}


@pytest.mark.parametrize(
    "words",
    [
        ("cvl", ""),
        ("cvl", "run", ""),
        (*AVATAR, "--talk."),
        (*AVATAR, "--final.audio-mode", ""),
        ("cvl", "logs", ""),
    ],
    ids=lambda words: " ".join(words),
)
def test_costs_little_and_loads_no_engine(
    bare: Run, bare_env: dict[str, str], tmp_path: Path, start: Start, words: tuple[str, ...]
) -> None:
    """Of a few runs: the first reads manifests."""
    start(RUN, "polite")
    asked = {"_CVL_COMPLETE": "bash_complete", "COMP_WORDS": "\n".join(words)}
    asked["COMP_CWORD"] = str(len(words) - 1)
    environment = {**bare_env, **asked, "CVL_EXAMPLES": EXAMPLES}
    command = [sys.executable, "-m", "cvl"]
    below, costs = cheap(lambda: measured(command, environment, tmp_path), LIMIT_MS)
    assert below, costs
    listed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cvl"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}
    assert not loaded & {"docker", "pydantic", "rich", "h11", "cvl.engine.docker"}


def program(folder: Path) -> str:
    """A folder for PATH with `cvl` in it."""
    folder.mkdir()
    (folder / "cvl").write_text(f'#!/bin/sh\nexec {sys.executable} -m cvl "$@"\n')
    (folder / "cvl").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("cvl ru", ["run"]),
        ("cvl run tts pre", ["predict"]),
        ("cvl run tts predict --voice fr", ["fr", "fr+f3"]),
        ("cvl run tts predict --voice = fr", ["fr", "fr+f3"]),
        ("cvl run tts predict --text \"'two words'\" --sp", ["--speed"]),
        ("cvl run avatar_video predict --talk.si", ["--talk.size"]),
    ],
)
def test_in_a_real_bash(
    bare_env: dict[str, str], tmp_path: Path, line: str, offered: list[str]
) -> None:
    script = (
        'eval "$(cvl completion bash)" && complete -p cvl >&2 && '
        f"COMP_WORDS=({line}) && COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) && "
        'COMPREPLY=() && _cvl_completion cvl && printf "%s\\n" "${COMPREPLY[@]}"'
    )
    result = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={**bare_env, "PATH": program(tmp_path / "bin"), "CVL_EXAMPLES": EXAMPLES},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == offered
    assert result.stderr == "complete -o nosort -F _cvl_completion cvl\n"


@pytest.mark.parametrize(
    ("shell", "marks"),
    [
        ("bash", ["_CVL_COMPLETE=bash_complete", "complete -o nosort -F _cvl_completion cvl"]),
        ("zsh", ["#compdef cvl", "_CVL_COMPLETE=zsh_complete", "compdef _cvl_completion cvl"]),
        ("fish", ["_CVL_COMPLETE=fish_complete", "complete --no-files --command cvl"]),
    ],
)
def test_the_script_of_a_shell(bare: Run, shell: str, marks: list[str]) -> None:
    text = bare("completion", shell).stdout
    for mark in marks:
        assert mark in text
    for opened, closed in ("{}", "()", "[]"):
        if shell != "bash" or opened != "(":
            assert text.count(opened) == text.count(closed)
    data = envelope_of(bare("completion", shell, "--json"), "completion")["data"]
    assert data == {"shell": shell, "script": text.strip()}


def test_a_shell_that_is_not_known(bare: Run) -> None:
    result = bare("completion", "csh")
    assert result.returncode == 2 and "'csh' is not one of" in result.stderr
    assert bare(env={"_CVL_COMPLETE": "csh_complete", "COMP_WORDS": ""}).returncode == 1
