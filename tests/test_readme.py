"""What the README says is so: exit codes, examples, commands."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from cvl import errors
from cvl.cli.app import COMMANDS

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text()


def _classes() -> list[type[errors.CvlError]]:
    found = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    return [c for c in found if issubclass(c, errors.CvlError)]


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    section = README.partition("### Exit codes")[2].partition("##")[0]
    cells = re.findall(r"^\| ([\d, ]+) \|", section, flags=re.MULTILINE)
    documented = {int(code) for cell in cells for code in cell.split(",")}
    known = {cls.exit_code for cls in _classes()} | {errors.Cancelled(n).status for n in (1, 2, 15)}
    assert documented == known | {0}


def test_the_table_of_examples_has_every_example_and_no_other() -> None:
    table = README.partition("## Examples")[2].partition("##")[0]
    listed = set(re.findall(r"\]\(examples/(\w+)\)", table))
    assert listed == {path.parent.name for path in REPOSITORY.glob("examples/*/example.yaml")}


def test_every_command_of_the_readme_exists() -> None:
    used = set(re.findall(r"\bcvl ([a-z]+)\b(?! is)", "\n".join(re.findall(r"`[^`]+`", README))))
    assert used <= set(COMMANDS)


def test_every_example_has_a_readme_with_its_licence_and_every_option() -> None:
    from cvl.ops.examples import Catalog

    for example in Catalog([str(REPOSITORY / "examples")]).examples.values():
        if example.source != "--examples":
            continue
        text = (example.folder / "README.md").read_text()
        assert "icen" in text, example.name
        for name in example.manifest.inputs:
            assert f"`{name}`" in text or f"--{name.replace('_', '-')}" in text, (example, name)


def test_an_engine_that_is_not_supported_is_not_named() -> None:
    assert "podman" not in README.lower()
