"""Bad values of a pipeline's steps are refused with the other bad inputs, before anything runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from cvl.core.manifest import ModelManifest
from cvl.errors import InputError, ManifestError
from cvl.ops.context import source_of
from cvl.ops.examples import Catalog
from cvl.ops.request import Checked, Options, Request, check_request

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STUBS = Path(__file__).resolve().parents[1] / "support" / "examples"
PORTRAIT = str(EXAMPLES / "avatar_video" / "samples" / "portrait.jpg")
SPEECH = str(EXAMPLES / "portrait" / "samples" / "hello.wav")


def _check(tmp_path: Path, more: dict[str, Any], steps: dict[str, Any], **options: Any) -> None:
    catalog = Catalog([str(EXAMPLES)])
    given = {"text": "Hello", "image": PORTRAIT, **more}
    outputs = {"": str(tmp_path / "out.mp4")}
    example = catalog.find("avatar_video")
    check_request(catalog, Request(example, given, outputs, steps, Options(**options)), "run")


@pytest.mark.parametrize(
    ("more", "steps", "message", "hint"),
    [
        ({"voice": "en-uss"}, {}, "--voice is 'en-uss'", "did you mean en-us?"),
        ({"avatar": "portait"}, {}, "--avatar is 'portait'", "did you mean portrait?"),
        ({}, {"talk": {"sway": "9"}}, "--talk.sway is 9", "at most 3"),
        ({}, {"talk": {"swey": "1"}}, "portrait has no input --swey", "--talk.sway"),
        ({}, {"tolk": {"sway": "1"}}, "no step 'tolk'", "did you mean --talk?"),
        ({}, {"final": {"subtitles": "/nonexistent.srt"}}, "there is no file", "check the path"),
    ],
)
def test_a_wrong_value_for_a_step_is_an_input_error_with_the_nearest_right_one(
    more: dict[str, Any], steps: dict[str, Any], message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        _check(tmp_path, more, steps)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_good_values_pass(tmp_path: Path) -> None:
    _check(tmp_path, {"voice": "slt"}, {"talk": {"sway": "0"}}, offload="model", seed=3)


@pytest.mark.parametrize(
    ("more", "steps", "message"),
    [
        ({"text": None}, {}, "--text is needed, or --audio"),
        ({"image": None}, {}, "--describe is needed, or --image"),
        ({"audio": SPEECH}, {}, "--text has no use when --audio is given"),
        ({"describe": "a sailor"}, {}, "--describe has no use when --image is given"),
        ({"text": None, "audio": SPEECH, "voice": "de"}, {}, "--voice has no use when --audio"),
        ({}, {"picture": {"steps": "3"}}, "--picture.steps has no use when --image is given"),
    ],
)
def test_avatar_video_takes_one_of_each_pair(
    more: dict[str, Any], steps: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        _check(tmp_path, more, steps)
    assert caught.value.message.startswith(message)


def test_avatar_video_takes_either_of_each_pair(tmp_path: Path) -> None:
    for more in ({}, {"text": None, "audio": SPEECH}, {"image": None, "describe": "a sailor"}):
        _check(tmp_path, more, {})


def test_a_model_without_a_ladder_refuses_a_rung(tmp_path: Path) -> None:
    catalog = Catalog([str(EXAMPLES)])
    outputs = {"": str(tmp_path / "out.wav")}
    options = Options(offload="model")
    request = Request(catalog.find("tts"), {"text": "Hello"}, outputs, {}, options)
    with pytest.raises(InputError, match="--offload is 'model'"):
        check_request(catalog, request, "run")


def test_an_output_of_a_format_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    catalog = Catalog([str(EXAMPLES)])
    outputs = {"": str(tmp_path / "out.mp3")}
    request = Request(catalog.find("tts"), {"text": "Hello"}, outputs)
    with pytest.raises(InputError) as caught:
        check_request(catalog, request, "run")
    assert ".wav" in caught.value.hint


def _outputs(tmp_path: Path, *names: str, **options: Any) -> Checked:
    """A request of the example `trap` with files of these names as its outputs."""
    catalog = Catalog([str(STUBS)])
    given = {"act": "fifo", "canary": "x"}
    outputs = dict(
        zip(("result", "folder"), (str(tmp_path / name) for name in names), strict=False)
    )
    request = Request(catalog.find("trap"), given, outputs, options=Options(**options))
    return check_request(catalog, request, "run")


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.TXT", "txt"), ("a", "txt"), ("a.x y", "txt"), ("a.\u65e5\u672c", "txt"),
        ("a.\u0130", "txt"), ("a.1\n", "txt"), ("a." + "b" * 12, "b" * 12),
        ("a." + "b" * 253, "txt"), ("." + "b" * 254, "txt"),
    ],
)  # fmt: skip
def test_only_a_harmless_extension_gets_into_the_container(
    name: str, extension: str, tmp_path: Path
) -> None:
    """The file in the container is called after the output: a long one would be too long there."""
    checked = _outputs(tmp_path, name)
    assert checked.outputs["result"].extension == extension
    assert checked.targets["result"].path == tmp_path / name


def test_an_output_cannot_have_the_name_of_anothers_sidecar(tmp_path: Path) -> None:
    assert _outputs(tmp_path, "a", "a.cvl.json").targets
    with pytest.raises(InputError, match="the name of another one's sidecar"):
        _outputs(tmp_path, "a", "a.cvl.json", sidecar=True)


def test_an_output_that_is_not_utf8_is_refused_wherever_its_name_is_wrong(tmp_path: Path) -> None:
    for name in ("\udcff", "\udcff/x"):
        with pytest.raises(InputError, match=r"--output: the name .*xff.* is not UTF-8"):
            _outputs(tmp_path, name)


def test_a_file_of_an_example_that_is_not_utf8_is_refused_with_the_example(tmp_path: Path) -> None:
    """BuildKit's client would fail on it, and not say why."""
    shutil.copytree(STUBS / "trap", tmp_path / "trap")
    (tmp_path / "trap" / "\udcff.py").touch()
    manifest = Catalog([str(tmp_path)]).find("trap").manifest
    assert isinstance(manifest, ModelManifest)
    with pytest.raises(ManifestError, match=r"trap: the name .xff.py is not UTF-8"):
        source_of(manifest, tmp_path / "trap")


@pytest.mark.parametrize("name", ["stub", "twostep"])
def test_a_secret_too_short_to_be_kept_out_of_logs_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog([str(STUBS)])
    request = Request(catalog.find(name), {}, {"": str(tmp_path / "out.txt")})
    monkeypatch.setenv("STUB_SECRET", "abc12")
    with pytest.raises(InputError) as caught:
        check_request(catalog, request, "run")
    assert "STUB_SECRET" in caught.value.message and "abc12" not in str(caught.value.args)
    for good in ("", "abc123"):
        monkeypatch.setenv("STUB_SECRET", good)
        check_request(catalog, request, "run")
