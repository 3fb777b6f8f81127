"""When everything happens, how large it is, and what can be copied without encoding it again.

All sources start together on one timeline; the clips follow one another. Sound, subtitles and
watermark are laid on that timeline, then the piece from trim_start to trim_end is cut out of it,
and the fades are made at the ends of that piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from cvl_inside import InputError
from options import Options
from probe import Media

_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
_AV1_MIN = 64
_AUDIO_ONLY_FPS = Fraction(1000)
_VIDEO_COPY = {
    "mp4": {"h264", "hevc", "av1"},
    "mov": {"h264", "hevc"},
    "mkv": {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4"},
}
# Others may lack the times of their pictures, which a container of ours has to state.
_VIDEO_COPY_FROM = ("mov", "matroska")
_AUDIO_COPY = {
    "mp4": {"aac", "mp3"},
    "mov": {"aac", "mp3"},
    "mkv": {"aac", "mp3", "opus", "vorbis", "flac", "ac3", "pcm_s16le"},
    "wav": {"pcm_s16le"},
    "mp3": {"mp3"},
    "m4a": {"aac"},
    "flac": {"flac"},
}


@dataclass(frozen=True)
class Timeline:
    """Times are counted in frames, so that picture and sound of joined clips cannot drift."""

    options: Options
    clips: list[Media] = field(default_factory=list)
    audio: Media | None = None
    music: Media | None = None

    @property
    def fps(self) -> Fraction:
        if self.options.fps:
            return exact_rate(self.options.fps)
        first = self.clips[0].picture if self.clips else None
        return first.fps if first else _AUDIO_ONLY_FPS

    @property
    def clip_frames(self) -> list[int]:
        return [max(1, round(Fraction(_clip_seconds(clip)) * self.fps)) for clip in self.clips]

    @property
    def picture_frames(self) -> int:
        return sum(self.clip_frames)

    @property
    def total_frames(self) -> int:
        """Length before trimming: the sound file's in replace mode, else the picture's."""
        if not self.audio:
            return self.picture_frames
        audio = max(1, round(Fraction(self.audio.seconds) * self.fps))
        by_audio = self.options.length == "audio" or (
            self.options.length == "auto" and self.options.audio_mode == "replace"
        )
        if self.clips and not by_audio:
            return self.picture_frames
        # So small a difference is the rounding of whoever made the picture for this sound.
        return self.picture_frames if -1 <= self.picture_frames - audio <= 2 else audio

    @property
    def shown_frames(self) -> list[int]:
        """Frames of each clip when the last one is held until the sound ends."""
        held = max(0, self.total_frames - self.picture_frames)
        return [*self.clip_frames[:-1], self.clip_frames[-1] + held]

    @property
    def cut(self) -> tuple[int, int]:
        """First frame of the result, and the one after its last."""
        options, total = self.options, self.total_frames
        start = round(Fraction(options.trim_start or 0) * self.fps)
        if options.duration is not None:
            stop = start + round(Fraction(options.duration) * self.fps)
        elif options.trim_end is not None:
            stop = round(Fraction(options.trim_end) * self.fps)
        else:
            stop = total
        return start, min(total, max(stop, start + 1))

    @property
    def frames(self) -> int:
        return self.cut[1] - self.cut[0]

    @property
    def seconds(self) -> float:
        return float(self.frames / self.fps)

    @property
    def is_trimmed(self) -> bool:
        return self.cut != (0, self.total_frames)

    @property
    def size(self) -> tuple[int, int]:
        """Even width and height of the result; one that is missing follows the first picture."""
        picture = self.clips[0].picture
        assert picture is not None
        width, height = self.options.width, self.options.height
        if width and not height:
            height = round(width * picture.height / picture.width)
        elif height and not width:
            width = round(height * picture.width / picture.height)
        return _even(width or picture.width), _even(height or picture.height)

    @property
    def sounds(self) -> list[Media]:
        """Everything that is heard."""
        own = [] if self._own_sound_dropped else [c for c in self.clips if c.sound]
        return [*own, *(m for m in (self.audio, self.music) if m)]

    @property
    def _own_sound_dropped(self) -> bool:
        return bool(self.audio) and self.options.audio_mode == "replace"

    @property
    def own_sound(self) -> bool:
        """Whether the clips' own sound is part of the result."""
        return not self._own_sound_dropped and any(clip.sound for clip in self.clips)

    @property
    def layout(self) -> str:
        channels = [m.sound.channels for m in self.sounds if m.sound]
        return "mono" if max(channels, default=2) == 1 else "stereo"

    @property
    def rate(self) -> int:
        """Samples per second: as asked, else the highest among the sources."""
        highest = max((m.sound.rate for m in self.sounds if m.sound), default=48000)
        return self.options.sample_rate or (highest if highest in _RATES else 48000)

    def can_copy_picture(self, container: str) -> bool:
        """True when nothing would change the picture, and the container can hold its codec."""
        options = self.options
        if len(self.clips) != 1 or options.video_codec != "auto" or options.crf is not None:
            return False
        picture = self.clips[0].picture
        assert picture is not None
        burned = options.subtitles and options.subtitle_mode == "burn"
        drawn = burned or options.watermark or options.fade_in or options.fade_out
        resized = (options.width or options.height) and (
            not picture.plain or self.size != (picture.width, picture.height)
        )
        retimed = (options.fps and self.fps != picture.fps) or self.is_trimmed
        other_length = self.total_frames != self.picture_frames
        legal = (
            picture.codec in _VIDEO_COPY.get(container, set())
            and self.clips[0].demuxer in _VIDEO_COPY_FROM
        )
        return legal and not (drawn or resized or retimed or other_length)

    def can_copy_sound(self, container: str) -> bool:
        """True when one source is heard as it is, and the container can hold its codec."""
        options = self.options
        if len(self.sounds) != 1 or self.music or self.is_trimmed or len(self.clips) > 1:
            return False
        sound = self.sounds[0].sound
        changed = (
            options.loudness is not None
            or options.fade_in
            or options.fade_out
            or options.sample_rate not in (None, sound.rate if sound else None)
            or options.audio_codec != "auto"
        )
        return bool(sound and sound.codec in _AUDIO_COPY.get(container, set()) and not changed)


def check_encoder(line: Timeline) -> None:
    """Refuse a size that the encoder cannot take."""
    if line.options.video_codec == "av1" and min(line.size) < _AV1_MIN:
        raise InputError(
            f"av1 needs at least {_AV1_MIN} pixels each way, not {line.size[0]}x{line.size[1]}.",
            hint="Take --video_codec h264, or a larger width and height.",
            code="too_small",
        )


def exact_rate(fps: float) -> Fraction:
    """29.97 and its like are meant as 30000/1001."""
    broadcast = Fraction(round(fps * 1.001) * 1000, 1001)
    if fps > 20 and abs(broadcast - Fraction(fps)) < Fraction(9, 2000):
        return broadcast
    return Fraction(fps).limit_denominator(1001)


def check(line: Timeline) -> None:
    """Refuse times that lie outside the result."""
    options, total = line.options, float(line.total_frames / line.fps)
    if (options.trim_start or 0) >= total:
        raise InputError(
            f"trim_start ({options.trim_start:g} s) is after the end ({total:.2f} s).", code="trim"
        )
    if options.fade_in + options.fade_out > line.seconds + 1e-6:
        raise InputError(
            f"The fades are longer than the result ({line.seconds:.2f} s).",
            hint="Shorten fade_in or fade_out.",
            code="fade",
        )
    if options.poster_time is not None and options.poster_time >= line.seconds:
        raise InputError(
            f"poster_time ({options.poster_time:g} s) is after the end of the result "
            f"({line.seconds:.2f} s).",
            code="poster_time",
        )
    if options.loudness is not None and not line.sounds:
        raise InputError("loudness was asked for, but nothing has sound.", code="no_sound")


def _clip_seconds(clip: Media) -> float:
    """A clip lasts as long as its picture, unless its sound is clearly longer."""
    if clip.picture_seconds > 0 and abs(clip.seconds - clip.picture_seconds) < 0.1:
        return clip.picture_seconds
    return clip.seconds


def _even(number: int) -> int:
    """Most encoders store colour at half size and need even sides."""
    return max(2, number + number % 2)
