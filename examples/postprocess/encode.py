"""Whole ffmpeg commands: inputs, graph, codecs, container."""

from __future__ import annotations

from ffmpeg import BASE, REPRODUCIBLE, THREADS, input_args
from graph import number
from options import Options
from timeline import Timeline

SOFT_SUBTITLES = "soft.ass"
_CRF = {"h264": 20, "h265": 24, "av1": 32}
_MUXER = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "wav": "wav", "mp3": "mp3", "m4a": "ipod",
          "flac": "flac", "jpg": "image2", "png": "image2"}  # fmt: skip
_AUDIO_FILE_CODEC = {"wav": "pcm", "mp3": "mp3", "m4a": "aac", "flac": "flac"}
_IMAGE = {
    "jpg": ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "2"],
    "png": ["-c:v", "png", "-pix_fmt", "rgb24"],
}
_SUBTITLE_CODEC = {"mp4": "mov_text", "mov": "mov_text", "mkv": "ass"}


def sources(line: Timeline, *, clips: bool = True) -> list[str]:
    """All inputs, numbered as the graphs number them: clips, then sound, then music."""
    found: list[str] = []
    for clip in line.clips if clips else []:
        found += input_args(clip.path, clip.demuxer)
    if line.audio:
        found += input_args(line.audio.path, line.audio.demuxer)
    if line.music:
        found += input_args(line.music.path, line.music.demuxer, loop=True)
    return found


def picture_codec(options: Options, container: str) -> list[str]:
    """Encoder options for the picture."""
    codec = options.encoder
    crf = str(_CRF[codec] if options.crf is None else options.crf)
    if codec == "h264":
        return ["-c:v", "libx264", "-preset", "medium", "-crf", crf, "-pix_fmt", "yuv420p"]
    if codec == "av1":
        return ["-c:v", "libsvtav1", "-preset", "8", "-crf", crf, "-pix_fmt", "yuv420p",
                "-svtav1-params", f"lp={THREADS}"]  # fmt: skip
    tag = [] if container == "mkv" else ["-tag:v", "hvc1"]
    # The number of frames worked on at once changes the bytes, so it is fixed too.
    return ["-c:v", "libx265", "-preset", "medium", "-crf", crf, "-pix_fmt", "yuv420p", *tag,
            "-x265-params", f"log-level=error:frame-threads=2:pools={THREADS}"]  # fmt: skip


def sound_codec(options: Options, codec: str) -> list[str]:
    """Encoder options for the sound; `codec` is a choice of audio_codec, or pcm."""
    bitrate = ["-b:a", f"{options.audio_bitrate}k"]
    if codec == "pcm":
        return ["-c:a", "pcm_s16le"]
    if codec == "flac":
        return ["-c:a", "flac", "-sample_fmt", "s16", "-strict", "experimental"]
    if codec == "mp3":
        return ["-c:a", "libmp3lame", *bitrate]
    if codec == "opus":
        return ["-c:a", "libopus", "-ar", "48000", *bitrate]
    return ["-c:a", "aac", *bitrate]


def video_argv(
    line: Timeline, container: str, picture: list[str], sound: list[str], name: str
) -> list[str]:
    """The command for the video file; an empty graph means that this stream is copied."""
    argv = [*BASE, *sources(line)]
    soft = line.options.subtitles and line.options.subtitle_mode == "soft"
    if soft:
        argv += ["-protocol_whitelist", "file", "-f", "ass", "-i", f"file:{SOFT_SUBTITLES}"]
    argv += _graph([*picture, *sound])
    argv += _map_picture(line, container, bool(picture))
    argv += _map_sound(line, container, bool(sound))
    if soft:
        inputs = argv.count("-i") - 1
        argv += ["-map", f"{inputs}:0", "-c:s", _SUBTITLE_CODEC[container]]
    if container != "mkv":
        argv += ["-movflags", "+faststart"]
    if not (picture and sound):
        # What is copied ends here when it is longer; the margin keeps the last picture.
        argv += ["-t", number(line.seconds + (0.5 / line.fps if picture else 0.1))]
    return [*argv, *REPRODUCIBLE, "-f", _MUXER[container], f"file:{name}"]


def _graph(chains: list[str]) -> list[str]:
    return ["-filter_complex_threads", "1", "-filter_complex", ";".join(chains)] if chains else []


def _map_picture(line: Timeline, container: str, encoded: bool) -> list[str]:
    picture = line.clips[0].picture
    assert picture is not None
    if encoded:
        return ["-map", "[v]", *picture_codec(line.options, container)]
    tag = ["-tag:v", "hvc1"] if picture.codec == "hevc" and container != "mkv" else []
    return ["-map", f"0:{picture.stream}", "-c:v", "copy", *tag]


def _map_sound(line: Timeline, container: str, encoded: bool) -> list[str]:
    codec = line.options.audio_codec
    if encoded:
        return ["-map", "[a]", *sound_codec(line.options, "aac" if codec == "auto" else codec)]
    return _copied_sound(line)


def _copied_sound(line: Timeline) -> list[str]:
    """The one sound that is heard, as it is."""
    if not line.sounds:
        return ["-an"]
    media = line.sounds[0]
    assert media.sound is not None
    number_of_input = 0 if media in line.clips else len(line.clips)
    return ["-map", f"{number_of_input}:{media.sound.stream}", "-c:a", "copy"]


def audio_argv(line: Timeline, container: str, sound: list[str], name: str) -> list[str]:
    """The command for the sound-only file."""
    argv = [*BASE, *sources(line), *_graph(sound)]
    if sound:
        argv += ["-map", "[a]", *sound_codec(line.options, _AUDIO_FILE_CODEC[container])]
    else:
        argv += _copied_sound(line)
    if container == "m4a":
        argv += ["-movflags", "+faststart"]
    limit = ["-t", number(line.seconds)]
    return [*argv, "-vn", *REPRODUCIBLE, *limit, "-f", _MUXER[container], f"file:{name}"]


def poster_argv(line: Timeline, container: str, graph: list[str], name: str) -> list[str]:
    """The command for one picture."""
    return [
        *BASE, *sources(line), *_graph(graph), "-map", "[poster]", *_IMAGE[container],
        "-frames:v", "1", *REPRODUCIBLE, "-f", "image2", "-update", "1", f"file:{name}",
    ]  # fmt: skip
