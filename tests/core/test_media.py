"""What `cvl.core.media` says of real files, and of files that are not what they seem."""

import io
import json
import shutil
import struct
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from cvl.core.media import (
    MediaError,
    MediaInfo,
    extension_for,
    extensions_for,
    format_of_extension,
    formats_for,
    inspect,
    require_kind,
    sniff,
)

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS, WIDTH, HEIGHT, FPS = 2.0, 96, 64, 25.0
PICTURES = f"-f lavfi -i testsrc=size={WIDTH}x{HEIGHT}:rate=25:duration=2"
SOUND = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=2"
STEREO = SOUND + " -ac 2"
BOTH = f"{PICTURES} {SOUND}"

# file name: ffmpeg's arguments, then the expected kind, format, video codec and audio codec
VIDEOS = {
    "late.mp4": (f"{BOTH} -c:v libx264 -c:a aac", "mp4", "h264", "aac"),
    "fast.mp4": (f"{BOTH} -c:v libx264 -c:a aac -movflags +faststart", "mp4", "h264", "aac"),
    "silent.mp4": (f"{PICTURES} -c:v mpeg4", "mp4", "mpeg4", None),
    "opus.mp4": (f"{BOTH} -c:v libx264 -c:a libopus", "mp4", "h264", "opus"),
    "movie.mov": (f"{BOTH} -c:v mpeg4 -c:a pcm_s16le", "mov", "mpeg4", "pcm_s16le"),
    "prores.mov": (f"{BOTH} -c:v prores -c:a aac", "mov", "prores", "aac"),
    "vp8.webm": (f"{BOTH} -c:v libvpx -c:a libopus", "webm", "vp8", "opus"),
    "h264.mkv": (f"{BOTH} -c:v libx264 -c:a flac", "mkv", "h264", "flac"),
    "live.mkv": (f"{BOTH} -c:v libx264 -c:a aac -f matroska -live 1", "mkv", "h264", "aac"),
    "mjpeg.avi": (f"{BOTH} -c:v mjpeg -c:a pcm_s16le", "avi", "mjpeg", "pcm_s16le"),
    "theora.ogv": (f"{BOTH} -c:v libtheora -c:a libvorbis", "ogv", "theora", "vorbis"),
}
FRAGMENTED = {
    "empty_moov.mp4": f"{BOTH} -c:v libx264 -c:a aac -g 10 -movflags frag_keyframe+empty_moov",
    "hybrid.mp4": f"{BOTH} -c:v libx264 -c:a aac -g 10 -movflags frag_keyframe",
}
# file name: ffmpeg's arguments, then format, codec, rate, channels
AUDIOS = {
    "pcm.wav": (SOUND, "wav", "pcm_s16le", 44100, 1),
    "float.wav": (f"{STEREO} -c:a pcm_f32le", "wav", "pcm_f32le", 44100, 2),
    "surround.wav": (f"{SOUND} -ac 6 -c:a pcm_s24le", "wav", "pcm_s24le", 44100, 6),
    "rf64.wav": (f"{SOUND} -rf64 always", "wav", "pcm_s16le", 44100, 1),
    "adpcm.wav": (f"{SOUND} -c:a adpcm_ima_wav", "wav", "adpcm_ima_wav", 44100, 1),
    "cbr.mp3": (f"{STEREO} -c:a libmp3lame", "mp3", "mp3", 44100, 2),
    "vbr.mp3": (f"{SOUND} -c:a libmp3lame -q:a 4 -ar 22050", "mp3", "mp3", 22050, 1),
    "tone.flac": (f"{STEREO} -c:a flac", "flac", "flac", 44100, 2),
    "vorbis.ogg": (f"{STEREO} -c:a libvorbis", "ogg", "vorbis", 44100, 2),
    "voice.opus": (f"{SOUND} -c:a libopus", "ogg", "opus", 48000, 1),
    "flac.ogg": (f"{SOUND} -c:a flac", "ogg", "flac", 44100, 1),
    "aac.m4a": (f"{SOUND} -c:a aac", "m4a", "aac", 44100, 1),
    "alac.m4a": (f"{STEREO} -c:a alac", "m4a", "alac", 44100, 2),
    "adts.aac": (f"{STEREO} -c:a aac", "aac", "aac", 44100, 2),
    "sound.webm": (f"{STEREO} -c:a libvorbis", "webm", "vorbis", 44100, 2),
}
OTHERS = {
    "bare.mp3": f"{SOUND} -c:a libmp3lame -write_xing 0 -id3v2_version 0",
    "transport.ts": f"{BOTH} -f mpegts",
    "flash.flv": BOTH,
}


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file named above."""
    if shutil.which("ffmpeg") is None:
        pytest.fail("ffmpeg is not installed")
    folder = tmp_path_factory.mktemp("media")
    rows = {name: row[0] for name, row in VIDEOS.items()}
    rows |= {name: row[0] for name, row in AUDIOS.items()}
    rows |= FRAGMENTED | OTHERS

    def make(name: str) -> None:
        command = ["ffmpeg", "-v", "error", "-nostdin", *rows[name].split(), str(folder / name)]
        subprocess.run(command, check=True, timeout=60)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, rows))
    return folder


def inspect_bytes(data: bytes) -> MediaInfo:
    return inspect(io.BytesIO(data), len(data))


def inspect_path(path: Path) -> MediaInfo:
    with path.open("rb") as stream:
        return inspect(stream, path.stat().st_size)


@pytest.mark.parametrize("name", VIDEOS)
def test_video_gives_its_streams_size_and_duration(samples: Path, name: str) -> None:
    _, format, video, audio = VIDEOS[name]
    info = inspect_path(samples / name)
    assert (info.kind, info.format, info.video_codec, info.audio_codec) == (
        "video", format, video, audio,
    )  # fmt: skip
    assert (info.has_video, info.has_audio) == (True, audio is not None)
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    assert info.duration_s == pytest.approx(SECONDS, abs=1 / FPS)
    assert info.frames == SECONDS * FPS
    assert info.fps == pytest.approx(FPS, rel=0.01)
    if audio:
        assert info.channels == 1
        assert info.sample_rate == (48000 if audio == "opus" else 44100)


@pytest.mark.parametrize("name", FRAGMENTED)
def test_fragmented_mp4_counts_the_frames_of_all_fragments(samples: Path, name: str) -> None:
    info = inspect_path(samples / name)
    assert (info.frames, info.fps, info.faststart) == (50, 25.0, True)
    # the muxer shifts the sound by two frames, and ffprobe says the same 2.08 s
    assert info.duration_s == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize("name", AUDIOS)
def test_audio_gives_its_codec_rate_channels_and_duration(samples: Path, name: str) -> None:
    _, format, codec, rate, channels = AUDIOS[name]
    info = inspect_path(samples / name)
    assert (info.kind, info.format, info.audio_codec) == ("audio", format, codec)
    assert (info.sample_rate, info.channels) == (rate, channels)
    assert (info.has_audio, info.has_video, info.width) == (True, False, None)
    assert info.duration_s == pytest.approx(SECONDS, abs=0.05)


def test_mp3_without_a_header_frame_is_counted_frame_by_frame(samples: Path) -> None:
    import mutagen.mp3 as mutagen

    stated = mutagen.MP3(samples / "bare.mp3").info.length
    assert inspect_path(samples / "bare.mp3").duration_s == pytest.approx(stated, abs=0.05)


def test_tags_before_the_audio_do_not_decide_the_format(samples: Path) -> None:
    tag = b"ID3\x04\0\0\0\0\x02\x00" + bytes(256)
    for name in ("tone.flac", "adts.aac", "bare.mp3"):
        data = (samples / name).read_bytes()
        assert inspect_bytes(tag + data) == inspect_bytes(data)


def test_image_sizes_agree_with_pillow() -> None:
    for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        for width, height in ((1, 1), (3, 200), (257, 2), (1023, 5)):
            stream = io.BytesIO()
            Image.new("RGB", (width, height)).save(stream, format)
            info = inspect_bytes(stream.getvalue())
            assert (info.width, info.height) == Image.open(stream).size


def test_wav_that_counts_its_header_in_is_read_in_full() -> None:
    data = wav_bytes(8000)
    larger = data[:40] + struct.pack("<I", len(data)) + data[44:]
    assert inspect_bytes(larger).duration_s == 1.0


def test_faststart_tells_where_the_index_is(samples: Path) -> None:
    assert inspect_path(samples / "fast.mp4").faststart is True
    assert inspect_path(samples / "late.mp4").faststart is False
    assert inspect_path(samples / "pcm.wav").faststart is None


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_streamed_wav_lasts_to_the_end_of_the_file(size: int) -> None:
    data = wav_bytes(8000)
    streamed = data[:4] + struct.pack("<I", size) + data[8:40] + struct.pack("<I", size) + data[44:]
    assert inspect_bytes(streamed).duration_s == 1.0


def wav_bytes(samples: int) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * samples))
    return stream.getvalue()


def image_bytes(format: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (WIDTH, HEIGHT), 1).save(stream, format, **options)
    return stream.getvalue()


IMAGES = {
    "png": image_bytes("PNG"),
    "palette png": image_bytes("PNG", "P"),
    "jpg": image_bytes("JPEG"),
    "progressive jpg": image_bytes("JPEG", progressive=True),
    "grey jpg": image_bytes("JPEG", "L"),
    "gif": image_bytes("GIF", "P"),
    "bmp": image_bytes("BMP"),
    "two-colour bmp": image_bytes("BMP", "1"),
    "tiff": image_bytes("TIFF"),
    "packed tiff": image_bytes("TIFF", compression="tiff_deflate"),
    "big tiff": image_bytes("TIFF", big_tiff=True),
    "webp": image_bytes("WEBP"),
    "lossless webp": image_bytes("WEBP", lossless=True),
    "transparent webp": image_bytes("WEBP", "RGBA", exif=b"Exif\0\0"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_image_gives_its_size(name: str) -> None:
    info = inspect_bytes(IMAGES[name])
    assert (info.kind, info.format) == ("image", name.split()[-1])
    assert (info.width, info.height, info.frames, info.duration_s) == (WIDTH, HEIGHT, 1, None)
    assert not info.has_video


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animated_image_counts_its_frames(format: str) -> None:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), (80 * i, 0, 0)) for i in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, format, save_all=True, append_images=frames[1:], duration=200)
    info = inspect_bytes(stream.getvalue())
    assert info.frames == 3
    if format in ("GIF", "WEBP"):
        assert info.duration_s == pytest.approx(0.6)


def test_pixel_flood_is_reported_and_not_allocated() -> None:
    data = bytearray(IMAGES["png"])
    data[16:24] = struct.pack(">II", 65_000, 65_000)
    info = inspect_bytes(bytes(data))
    assert (info.width, info.height) == (65_000, 65_000)


def test_json_is_parsed() -> None:
    assert inspect_bytes(json.dumps({"faces": [1, 2]}).encode()).kind == "json"
    with pytest.raises(MediaError, match=r"^is a damaged JSON: "):
        inspect(io.BytesIO(b'{"faces": ['), 11, expect="json")
    with pytest.raises(MediaError, match="NaN is not a JSON value"):
        inspect(io.BytesIO(b'{"x": NaN}'), 10, expect="json")
    assert inspect_bytes(b"[1] A footnote.\n").format == "text"


NOT_VIDEOS = {
    "plain text": b"just some words\n",
    "plain text with accents": "d\u00e9j\u00e0 vu\n".encode() * 2000,
    "plain text that begins like a box": b"The free lunch, it is said, is not one.\n",
    "UTF-16 text": "words".encode("utf-16"),
    "an HTML page": b"\n<!DOCTYPE html>\n<html><body>404 Not Found</body></html>",
    "an HTML page after a comment": b"<!-- cache --><html></html>",
    "JSON": b'{"error": "not found"}',
    "an XML document": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "a playlist (M3U)": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n",
    "a playlist (ffconcat)": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "a playlist (DASH MPD)": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash"></MPD>',
    "a session description (SDP)": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
    "a Git LFS pointer, not the file itself": b"version https://git-lfs.github.com/spec/v1\n",
    "a program": b"\x7fELF\x02\x01\x01" + bytes(64),
    "a script": b"#!/bin/sh\nexit 0\n",
    "a ZIP archive": b"PK\x03\x04" + bytes(40),
    "a PDF document": b"%PDF-1.7\n",
    "only zero bytes": bytes(4096),
    "data of an unknown type": b"\x01\x02\x03\x04" * 9,
    "a PNG image": IMAGES["png"],
    "a WAV audio file": wav_bytes(100),
}


@pytest.mark.parametrize("what", NOT_VIDEOS)
def test_error_names_what_is_there_instead_of_a_video(what: str) -> None:
    data = NOT_VIDEOS[what]
    phrase = "plain text" if "text" in what else what.split(" after")[0]
    with pytest.raises(MediaError) as caught:
        inspect(io.BytesIO(data), len(data), expect="video")
    assert str(caught.value) == f"is not a video: it is {phrase}"


def test_svg_and_unread_formats_are_refused_by_name(samples: Path) -> None:
    with pytest.raises(MediaError, match=r"^is an SVG drawing, which is not supported: use one of"):
        require_kind(inspect_bytes(b'<svg xmlns="x"><image href="file:///"/></svg>'), "image")
    for name, phrase in (("transport.ts", "an MPEG transport stream"), ("flash.flv", "a Flash")):
        info = inspect_path(samples / name)
        assert info.kind == "other"
        with pytest.raises(MediaError, match=f"^is {phrase}.*use one of mp4, mov, mkv"):
            require_kind(info, "video")


def test_sound_alone_is_no_video(samples: Path) -> None:
    with pytest.raises(MediaError, match=r"it is an MPEG-4 audio file$"):
        require_kind(inspect_path(samples / "aac.m4a"), "video")
    with pytest.raises(MediaError, match=r"it is a WebM file with sound only$"):
        require_kind(inspect_path(samples / "sound.webm"), "video")
    require_kind(inspect_path(samples / "sound.webm"), "other")


def test_empty_file_is_called_empty() -> None:
    with pytest.raises(MediaError, match=r"^is empty$"):
        inspect(io.BytesIO(b""), 0)


def test_mp4_cut_in_its_media_data_is_truncated(samples: Path) -> None:
    data = (samples / "fast.mp4").read_bytes()
    with pytest.raises(
        MediaError, match=r"^is a truncated MP4: its media data \(mdat\) should end"
    ):
        inspect_bytes(data[: len(data) // 2 + 2000])


def test_mp4_cut_in_its_index_is_truncated(samples: Path) -> None:
    for name in ("fast.mp4", "late.mp4"):
        data = (samples / name).read_bytes()
        cut = data[: data.index(b"moov") + 300]
        with pytest.raises(MediaError, match=r"^is a truncated MP4: its index \(moov\) should end"):
            inspect_bytes(cut)


def test_mp4_without_an_index_is_truncated(samples: Path) -> None:
    data = (samples / "late.mp4").read_bytes()
    with pytest.raises(MediaError, match=r"^is a truncated MP4: it has no index \(moov\)"):
        inspect_bytes(data[: data.index(b"moov") - 4])


@pytest.mark.parametrize("name", ["pcm.wav", "h264.mkv", "vp8.webm", "mjpeg.avi", "movie.mov"])
def test_half_a_container_is_truncated(samples: Path, name: str) -> None:
    data = (samples / name).read_bytes()
    with pytest.raises(MediaError, match=r"^is a truncated "):
        inspect_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("name", [n for n in IMAGES if "tiff" not in n])
def test_half_an_image_is_truncated(name: str) -> None:
    data = IMAGES[name]
    with pytest.raises(MediaError, match=r"^is a truncated "):
        inspect_bytes(data[: min(max(len(data) // 2, 40), len(data) - 14)])


def test_encrypted_mp4_is_refused(samples: Path) -> None:
    data = (samples / "silent.mp4").read_bytes().replace(b"mp4v", b"encv")
    with pytest.raises(MediaError, match=r"^is an encrypted MP4"):
        inspect_bytes(data)


def test_extensions_and_formats_belong_together() -> None:
    assert formats_for("video")[0] == "mp4"
    assert formats_for("other") == ()
    assert {"jpg", "jpeg"} <= set(extensions_for("image"))
    assert format_of_extension(".JPEG") == "jpg"
    assert format_of_extension("exe") is None
    assert (extension_for("jpg"), extension_for("text")) == ("jpg", "bin")
    for kind in ("audio", "video", "image", "json"):
        for format in formats_for(kind):
            assert format_of_extension(extension_for(format)) == format


@pytest.mark.parametrize("head", [b"", b"\xff", b"RIFF\0", b"\0\0\0", b"\xff\xfe", b"\xc3"])
def test_sniff_knows_nothing_of_a_few_bytes(head: bytes) -> None:
    assert sniff(head) is None


def test_import_is_light() -> None:
    code = "import sys, cvl.core.media; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert not {"PIL", "mutagen", "json", "subprocess", "socket"} & set(run.stdout.split())
