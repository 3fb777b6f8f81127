"""The committed schemas are what the code says, and every command keeps to them."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from cvl.cli import schemas
from cvl.cli.app import COMMANDS, GROUPS
from cvl.cli.commands.models import MODELS
from tests.cli.conftest import REPOSITORY, SCHEMAS, STUBS, Run, Start, envelope_of

MANIFESTS = sorted([*REPOSITORY.glob("examples/*/example.yaml"), *STUBS.glob("*/example.yaml")])


def test_committed_schemas_are_current() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "cvl.cli.schemas", "--check"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


def test_a_stale_schema_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schemas, "documents", lambda: {"list.json": "{}\n"})
    assert schemas.main(["--check"]) == 1
    assert "schemas/list.json is out of date" in capsys.readouterr().err
    assert schemas.main([]) == 2


def test_every_command_has_one() -> None:
    names = {path.stem for path in SCHEMAS.glob("*.json")}
    commands = {name for name in COMMANDS if name not in GROUPS}
    assert names == {*commands, *(f"models-{name}" for name in MODELS), "failure", "example"}
    for path in SCHEMAS.glob("*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_nothing_imports_them() -> None:
    code = (
        "import sys, importlib; from cvl.cli.app import COMMANDS;"
        "from cvl.cli.commands.models import MODELS;"
        "[importlib.import_module(f'cvl.cli.commands.{m}') for m, _ in COMMANDS.values()];"
        "[importlib.import_module(f'cvl.cli.commands.models.{m}') for m, _ in MODELS.values()];"
        "print({'cvl.cli.schemas', 'pydantic'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


def test_they_refuse_what_is_not_said(bare: Run) -> None:
    envelope = envelope_of(bare("list", "--json"), "list")
    schema = json.loads((SCHEMAS / "list.json").read_text())
    for place in (envelope, envelope["data"], envelope["data"]["examples"][0]):
        place["more"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(copy.deepcopy(envelope), schema)
        del place["more"]
    jsonschema.validate(envelope, schema)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_manifests_keep_to_the_schema_for_editors(path: Path) -> None:
    schema = json.loads((SCHEMAS / "example.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


FAILURES = [
    (["list", "--wrong"], 2, "usage"),
    (["info"], 2, "usage"),
    (["info", "nothing"], 2, "unknown_example"),
    (["validate", "nothing"], 2, "unknown_example"),
    (["ps", "extra"], 2, "usage"),
    (["logs", "last"], 2, "unknown_run"),
    (["stop"], 2, "usage"),
    (["shell", "last"], 2, "usage"),
    (["shell", "last", "-c", "ls"], 2, "unknown_run"),
    (["gc"], 2, "usage"),
    (["models", "list", "more"], 2, "usage"),
    (["models", "status", "nothing"], 2, "unknown_weights"),
    (["models", "pull"], 2, "usage"),
    (["models", "pull", "nothing"], 2, "unknown_weights"),
    (["models", "verify", "nothing"], 2, "unknown_weights"),
    (["models", "repair", "nothing"], 2, "unknown_weights"),
    (["models", "lock", "nothing"], 2, "unknown_weights"),
    (["models", "outdated", "nothing"], 2, "unknown_weights"),
    (["models", "update", "nothing"], 2, "unknown_weights"),
    (["models", "export", "-o", "b.tar"], 2, "usage"),
    (["models", "export", "nothing", "-o", "b.tar"], 2, "unknown_weights"),
    (["models", "import"], 2, "usage"),
    (["models", "import", "nowhere.tar"], 2, "bad_input"),
    (["models", "rm"], 2, "usage"),
    (["models", "prune"], 2, "usage"),
    (["doctor"], 3, "not_ready"),
    (["init", "Not-One"], 2, "bad_name"),
    (["demo"], 3, "engine_unreachable"),
    (["run"], 2, "usage"),
    (["run", "nothing", "predict"], 2, "unknown_example"),
    (["run", "stub", "bulid"], 2, "usage"),
    (["run", "stub", "predict", "--wrong", "1"], 2, "usage"),
    (["run", "stub", "predict"], 3, "engine_unreachable"),
    (["run", "stub", "build"], 3, "engine_unreachable"),
    (["run", "stub", "build", "--ca-bundle", "/nowhere.pem"], 2, "bad_input"),
    (["run", "stub", "test"], 3, "engine_unreachable"),
]


@pytest.mark.parametrize(("words", "status", "code"), FAILURES, ids=lambda value: str(value))
def test_failures(bare: Run, words: list[str], status: int, code: str) -> None:
    result = bare(*words, "--json", env={"CVL_ENGINE": "docker"})
    command = " ".join(words[: 2 if words[0] in GROUPS else 1])
    envelope = envelope_of(result, command, status)
    assert envelope["error"]["code"] == code
    assert (envelope["command"], envelope["error"]["message"] != "") == (command, True)


@pytest.mark.parametrize("words", [["lst"], ["nothing", "at", "all"]])
def test_failures_of_no_command(bare: Run, words: list[str]) -> None:
    envelope = envelope_of(bare(*words, "--json"), "failure", 2)
    assert envelope["error"]["code"] == "unknown_command"


def test_successes_without_an_engine(bare: Run, start: Start) -> None:
    for words in (
        ["list"],
        ["info", "tts"],
        ["validate"],
        ["ps"],
        ["ps", "-a"],
        ["gc", "--dry-run"],
    ):
        envelope_of(bare(*words, "--json"), words[0])
    for words in (["list"], ["status"], ["prune", "--dry-run"]):
        envelope_of(bare("models", *words, "--json"), f"models {words[0]}")
    dry = bare("run", "stub", "predict", "--dry-run", "--json")
    assert envelope_of(dry, "run")["data"]["dry_run"] is True
    start("20260101-000000-aaaaaa", "polite")
    for words in (["ps"], ["logs", "last"], ["stop", "last"], ["ps", "-a"], ["stop", "last"]):
        envelope_of(bare(*words, "--json"), words[0])


@pytest.mark.docker
def test_runs(cvl: Run) -> None:
    for words in (
        ["stub", "build"],
        ["stub", "predict", "--seed", "1"],
        ["stub", "predict", "--seed", "1"],
        ["stub", "test"],
        ["twostep", "predict", "--output", "two.txt"],
        ["twostep", "predict", "--dry-run", "--output", "three.txt"],
    ):
        envelope_of(cvl("run", *words, "--json"), "run")
    failed = cvl("run", "stub", "predict", "--act", "raise_error", "--json", "--output", "x.txt")
    assert envelope_of(failed, "run", 1)["error"]["code"] == "step_failed"
    envelope_of(cvl("ps", "-a", "--json"), "ps")
    envelope_of(cvl("logs", "last", "--json"), "logs")
