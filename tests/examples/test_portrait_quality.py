"""What the talking portrait looks like, measured in the finished videos.

Fixtures asked for: `speech(text, voice) -> Path` makes a WAV file, and `render`, which is
    render(audio, **options) -> Path of the MP4; `image` is the sample unless it is given,
    render.warnings          -> what the last render warned of, a list of sentences,
    render.fails(audio, **options) -> the user error, with .code, .message and .hint.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support import mouth

SAMPLES = Path(__file__).resolve().parents[2] / "examples" / "portrait" / "samples"
PORTRAIT = SAMPLES / "portrait.jpg"  # 512x600

# Places in the sample at its own size: left, top, right, bottom, in pixels.
MOUTH_BOX = (232, 270, 306, 322)  # below the nose, above the chin, from corner to corner
HEAD_BOX = (148, 130, 380, 392)  # from the spectacles to the collar, ear to ear
FACE_MIDDLE, FACE_RADIUS = 265, 105  # of the head as an upright cylinder

# The mouth alone moves, and nothing but H.264 at a high quality is between it and the detector.
STILL_HEAD = {"sway": 0, "blink": 0, "size": "source", "crf": 10}
LOSSLESS = {**STILL_HEAD, "crf": 0}
FPS = 25
SHUT, OPEN = 2, 8  # rows of dark pixels that a closed mouth has at most, an open one at least

AH, OO = (730.0, 1090.0, 2440.0), (300.0, 870.0, 2240.0)  # formants in Hz

needs_mesh = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the face mesh has wheels for x86-64 only"
)


@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("en-us", "Hello there! My name is Grace, and this picture can talk."),
        ("en-us+f3", "How are you today? The father of the man was far away."),
        ("slt", "Good morning. I can see the blue moon over the calm water."),
    ],
)
def test_mouth_opens_with_the_loudness_of_the_speech(render, speech, voice, text):
    audio = speech(text, voice)
    video = mouth.frames(render(audio, **STILL_HEAD))
    opened = mouth.openness(video, MOUTH_BOX)
    loud = mouth.loudness(audio, FPS, len(video))
    r, lag = mouth.best_correlation(opened, loud, reach=3)
    assert opened.max() >= OPEN, "the mouth hardly opens"
    assert r >= 0.6, f"r = {r:.2f} at a lag of {lag} frames"


def test_mouth_is_narrower_for_oo_than_for_ah(render, tmp_path):
    ah = _widest(render(mouth.vowel(tmp_path / "ah.wav", AH), **STILL_HEAD))
    oo = _widest(render(mouth.vowel(tmp_path / "oo.wav", OO), **STILL_HEAD))
    assert oo > 5, "the mouth does not open for oo"
    assert oo < 0.8 * ah, f"oo is {oo:.0f} and ah is {ah:.0f} pixels wide"


def test_nothing_outside_the_head_moves(render, speech):
    video = mouth.frames(render(speech("Away we go now!", "en-us"), **LOSSLESS)).astype(np.int16)
    change = np.abs(video - video[0]).max(0)
    left, top, right, bottom = HEAD_BOX
    assert change[top:bottom, left:right].max() > 20, "the mouth did not move either"
    change[top:bottom, left:right] = 0
    assert change.max() <= 1


def test_mouth_is_still_in_silence_and_the_frame_is_the_picture(render, tmp_path):
    silence = mouth.write_wav(tmp_path / "silence.wav", np.zeros(mouth.RATE))
    video = mouth.frames(render(silence, **LOSSLESS), "rgb24").astype(np.int16)
    assert any("silent" in warning for warning in render.warnings)
    assert np.abs(video - video[0]).max() == 0
    picture = mouth.read_picture(PORTRAIT).astype(np.int16)
    assert np.abs(video[0] - picture).mean() < 3  # colours are halved in resolution, no more


def test_mouth_closes_again_between_words(render, tmp_path):
    video = _video(render, mouth.vowel(tmp_path / "ah.wav", AH))
    opened = mouth.openness(video, MOUTH_BOX)
    assert opened[0] <= SHUT and opened[-1] <= SHUT and opened.max() >= 10


def test_head_sways_unless_told_not_to(render, tmp_path):
    quiet = mouth.write_wav(tmp_path / "quiet.wav", np.zeros(mouth.RATE * 2))
    forehead = np.s_[:, 140:165, 190:340]
    moving = mouth.frames(render(quiet, **{**STILL_HEAD, "sway": 1})).astype(np.int16)[forehead]
    assert np.abs(moving - moving[0]).mean((1, 2)).max() > 2


@needs_mesh
def test_eyes_blink_unless_told_not_to(render, tmp_path):
    quiet = mouth.write_wav(tmp_path / "quiet.wav", np.zeros(mouth.RATE * 3))
    eyes = np.s_[:, 178:200, 200:335]
    video = mouth.frames(render(quiet, **{**STILL_HEAD, "blink": 60})).astype(np.int16)[eyes]
    shut = np.abs(video - video[0]).mean((1, 2))
    assert shut.max() > 3 and np.median(shut) < 1


def test_video_is_as_long_as_the_audio(render, speech):
    audio = speech("How long is this?", "en-us")
    for fps in (10, 25, 60):
        video = render(audio, fps=fps, size="240")
        assert abs(mouth.duration(video) - mouth.duration(audio)) <= 0.05


def test_video_plays_everywhere(render):
    video = render(SAMPLES / "hello.wav")
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,pix_fmt"]
    said = subprocess.run([*command, "-of", "csv=p=0", str(video)], capture_output=True, text=True)
    assert said.stdout.split() == ["h264,yuv420p", "aac"]
    head = video.read_bytes()[:4096]
    assert b"moov" in head, "the index is not at the front"


def test_two_renders_are_the_same_bytes_and_another_seed_is_not(render):
    first, again, other = (
        render(SAMPLES / "hello.wav", size="320", seed=seed).read_bytes() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_several_faces_warn_and_name_the_option(render, tmp_path):
    two = _two_faces(tmp_path)
    video = mouth.frames(render(SAMPLES / "hello.wav", image=two, **STILL_HEAD))
    assert len(render.warnings) == 1
    assert "2 faces" in render.warnings[0] and "--face" in render.warnings[0]
    assert mouth.openness(video, _beside(MOUTH_BOX)).max() >= OPEN  # the right one is larger
    assert mouth.openness(video, MOUTH_BOX).max() <= SHUT


@pytest.mark.parametrize("face", ["left", "150,100,230,230"])
def test_face_option_chooses_who_speaks_without_a_warning(render, tmp_path, face):
    two = _two_faces(tmp_path)
    video = mouth.frames(render(SAMPLES / "hello.wav", image=two, face=face, **STILL_HEAD))
    assert render.warnings == []
    assert mouth.openness(video, MOUTH_BOX).max() >= OPEN


def test_picture_without_a_face_is_refused_with_a_hint(render, tmp_path):
    rows, columns = np.mgrid[0:300, 0:400]
    plain = np.stack([rows // 2, columns // 2, rows // 3], axis=-1).astype(np.uint8)
    error = render.fails(
        SAMPLES / "hello.wav", image=mouth.write_picture(tmp_path / "plain.png", plain)
    )
    assert error.code == "no_face"
    assert "--face" in error.hint


@needs_mesh
def test_face_seen_from_the_side_is_refused_with_a_hint(render, tmp_path):
    picture = mouth.read_picture(PORTRAIT)
    aside = mouth.turned_away(picture, FACE_MIDDLE, FACE_RADIUS, 55)
    error = render.fails(
        SAMPLES / "hello.wav", image=mouth.write_picture(tmp_path / "aside.png", aside)
    )
    assert error.code == "profile"
    assert "--face" in error.hint


def test_box_outside_the_picture_is_refused_with_a_hint(render):
    error = render.fails(SAMPLES / "hello.wav", face="500,500,300,300")
    assert error.code == "bad_face"
    assert "512x600" in error.hint


@needs_mesh
def test_open_smile_opens_further_and_keeps_its_teeth(render, tmp_path):
    audio = mouth.vowel(tmp_path / "ah.wav", AH)
    video = mouth.frames(render(audio, image=SAMPLES / "smiling.jpg", **STILL_HEAD))
    teeth, below = np.s_[:, 144:147, 138:149], np.s_[:, 148:156, 138:149]
    change = np.abs(video.astype(np.int16) - video[0])
    assert change[teeth].mean((1, 2)).max() < 25, "the teeth of the picture went away"
    assert change[below].mean((1, 2)).max() > 40, "the lower lip did not go down"


def test_turned_photograph_is_shown_upright(render, tmp_path):
    """EXIF orientation 6: the camera was held on its side."""
    aside = tmp_path / "aside.jpg"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(PORTRAIT), "-vf", "transpose=2"]
    subprocess.run([*command, "-q:v", "2", str(aside)], check=True)
    orientation = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(orientation) + 2).to_bytes(2, "big") + orientation
    data = aside.read_bytes()
    aside.write_bytes(data[:2] + segment + data[2:])
    video = mouth.frames(render(SAMPLES / "hello.wav", image=aside, **STILL_HEAD))
    assert video.shape[1:] == (600, 512)
    assert mouth.openness(video, MOUTH_BOX).max() >= OPEN


def _video(render, audio: Path) -> np.ndarray:
    return mouth.frames(render(audio, **STILL_HEAD))


def _widest(video: Path) -> float:
    """Width while the vowel is held, not while the mouth opens and closes."""
    return float(np.median(mouth.width(mouth.frames(video), MOUTH_BOX)[12:22]))


def _two_faces(folder: Path) -> Path:
    """The sample, and to its right the same person a little larger."""
    picture = mouth.read_picture(PORTRAIT)
    rows, columns = (np.minimum(np.arange(n) * 10 // 11 + n // 22, n - 1) for n in (600, 512))
    larger = picture[rows][:, columns]
    return mouth.write_picture(folder / "two.png", np.hstack([picture, larger]))


def _beside(box: mouth.Box) -> mouth.Box:
    """Where `box` lies in the right half of the picture of two."""
    left, top, right, bottom = box
    across, down = (lambda n: (n - 23) * 11 // 10 + 512), (lambda n: (n - 27) * 11 // 10)
    return across(left), down(top), across(right), down(bottom)
