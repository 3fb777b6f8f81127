"""RUN lines that mount a secret, and nothing else that changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvl.core.dockerfile import BUNDLE_PATH, BUNDLE_VARIABLES, secret_names, with_authorities

MOUNTS = "--mount=type=secret,id=cvl_ca,mode=0444 --mount=type=secret,id=cvl_apt,mode=0444"
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def changed(text: str) -> list[str]:
    """The new lines, without the arguments that follow a FROM."""
    return [line for line in with_authorities(text).splitlines() if "/run/secrets" not in line]


def test_each_stage_gets_the_variables() -> None:
    text = with_authorities("ARG BASE_IMAGE=x\nFROM ${BASE_IMAGE} AS a\nfrom b \\\n AS c\nRUN y\n")
    lines = text.splitlines()
    arguments = [f"ARG {name}={BUNDLE_PATH}" for name in BUNDLE_VARIABLES]
    arguments.append("ARG APT_CONFIG=/run/secrets/cvl_apt")
    first = ["ARG BASE_IMAGE=x", "FROM ${BASE_IMAGE} AS a"]
    assert lines == [
        *first, *arguments, "from b \\", " AS c", *arguments, f"RUN {MOUNTS} y",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("RUN pip install x", f"RUN {MOUNTS} pip install x"),
        ('  run ["a", "b"]', f'  run {MOUNTS} ["a", "b"]'),
        ("RUN \\\n  a", f"RUN {MOUNTS} \\\n  a"),
        ("RUN\\\n a", f"RUN {MOUNTS}\\\n a"),
        ("RUN --mount=type=cache,target=/c a", f"RUN {MOUNTS} --mount=type=cache,target=/c a"),
        ("RUN a \\\n# a comment\n\n  && RUN b", f"RUN {MOUNTS} a \\\n# a comment\n\n  && RUN b"),
        ("RUN <<E\nRUN x\nE\nRUN y", f"RUN {MOUNTS} <<E\nRUN x\nE\nRUN {MOUNTS} y"),
        ("COPY <<-'E' /f\nRUN x\n\tE\nRUN y", f"COPY <<-'E' /f\nRUN x\n\tE\nRUN {MOUNTS} y"),
        ("RUN echo a <<E b\nRUN y", f"RUN {MOUNTS} echo a <<E b\nRUN {MOUNTS} y"),
        (
            "# escape=`\nRUN a `\n RUN b\nRUN c",
            f"# escape=`\nRUN {MOUNTS} a `\n RUN b\nRUN {MOUNTS} c",
        ),
        ("ENV A=b \\\nRUN=c", "ENV A=b \\\nRUN=c"),
        ("# RUN x\nLABEL RUN=x\nRUNNING x\nCMD RUN", "# RUN x\nLABEL RUN=x\nRUNNING x\nCMD RUN"),
    ],
)
def test_run_lines_and_no_others(before: str, after: str) -> None:
    assert changed(before) == after.splitlines()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/Dockerfile")), ids=lambda p: p.parent.name)
def test_every_run_of_the_examples_is_changed_and_can_be_undone(path: Path) -> None:
    text = path.read_text()
    found = with_authorities(text)
    assert found.count(MOUNTS) == sum(line.startswith("RUN ") for line in text.splitlines()) > 0
    kept = [line for line in found.splitlines() if not line.endswith(("/cvl_ca", "/cvl_apt"))]
    assert "\n".join(kept).replace(f" {MOUNTS}", "") + "\n" == text


@given(
    st.lists(st.sampled_from(["RUN a \\", "", "# c", "FROM x", "RUN <<E", "E", "COPY a b", "\\"]))
)
def test_no_line_is_ever_lost(lines: list[str]) -> None:
    """Whatever the file looks like: without what was added it is the file that it was."""
    text = "\n".join(lines)
    found = with_authorities(text).replace(f" {MOUNTS}", "").splitlines()
    kept = [line for line in found if not line.endswith(("/cvl_ca", "/cvl_apt"))]
    assert [line for line in kept if line] == [line for line in text.splitlines() if line]


def test_variables_that_would_keep_a_secret_in_the_image_are_found_with_their_lines() -> None:
    text = (
        "ARG BASE_IMAGE=x\nFROM ${BASE_IMAGE}\nARG HF_TOKEN\n"
        "ENV A=1 \\\n  API_KEY=abc MAX_TOKENS=4\nenv password what TOKEN\n"
        "RUN --mount=type=secret,id=TOKEN true\n# ARG TOKEN\nARG A GH_TOKEN=1\n"
    )
    assert secret_names(text) == [
        (3, "ARG", "HF_TOKEN"), (4, "ENV", "API_KEY"), (6, "ENV", "password"),
        (9, "ARG", "GH_TOKEN"),
    ]  # fmt: skip
