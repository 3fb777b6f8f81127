"""Finish a video with ffmpeg: join, lay sound, normalise loudness, scale, cut, mark, encode."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import encode
import graph
import loudness
import options as rules
import texts
import timeline
from cvl_inside import InputError, Predictor, run
from ffmpeg import Report
from ffmpeg import run as run_ffmpeg
from options import Options
from probe import Media, probe
from timeline import Timeline

OUTPUTS = ("video", "audio", "poster")
LOUDNESS_TOLERANCE = 0.5  # LU, what nobody hears


class Postprocess(Predictor):
    def predict(self, ctx: Any, **inputs: Any) -> dict[str, str]:
        options = Options(**inputs)
        wanted = {name: str(ctx.output(name)) for name in OUTPUTS if ctx.wants(name)}
        rules.check(options, wanted.get("video"), "poster" in wanted)
        with tempfile.TemporaryDirectory(prefix="postprocess-") as folder:
            return Job(ctx, options, wanted, Path(folder)).run()


class Job:
    """One run: the wanted outputs, made one after the other in a folder of its own."""

    def __init__(self, ctx: Any, options: Options, wanted: dict[str, str], folder: Path) -> None:
        self.ctx = ctx
        self.wanted = wanted
        self.folder = folder
        self.line = self._timeline(options)
        timeline.check(self.line)
        if "video" in wanted:
            timeline.check_encoder(self.line)
        self.mark = 0
        self.loudness = ""
        self.finished = 0.0

    def run(self) -> dict[str, str]:
        self._warn()
        self._write_texts()
        if self._measures:
            self.loudness = self._measure(self.line.options.loudness or 0.0)
        makers = {"video": self._video, "audio": self._audio, "poster": self._poster}
        for name, path in self.wanted.items():
            made = self.folder / f"result{Path(path).suffix}"
            run_ffmpeg(makers[name](Path(path).suffix[1:], made.name), self.folder, self._report())
            self.finished += self.line.seconds
            shutil.move(str(made), path)
        self.ctx.metric("seconds", round(self.line.seconds, 3), "s")
        return dict(self.wanted)

    def _timeline(self, options: Options) -> Timeline:
        clips = [self._media(p, f"clip{i}", "picture") for i, p in enumerate(options.visuals)]
        audio = self._media(options.audio, "sound", "sound") if options.audio else None
        music = self._media(options.music, "music", "sound") if options.music else None
        return Timeline(options, clips, audio, music)

    def _media(self, path: str, name: str, needed: str) -> Media:
        """Probe one input under a name of ours: user names never reach ffmpeg's command line."""
        link = self.folder / name
        link.symlink_to(Path(path).resolve())
        shown = Path(path).name
        media = probe(link, shown)
        if getattr(media, needed) is None:
            raise InputError(f"The file {shown} has no {needed}.", code=f"no_{needed}")
        return media

    def _warn(self) -> None:
        line, options = self.line, self.line.options
        lost = float((line.picture_frames - line.total_frames) / line.fps) if line.clips else 0.0
        if lost > 0.5 and not line.is_trimmed:
            self.ctx.warning(
                f"The picture is {lost:.1f} s longer than the sound and was cut; "
                "use --length video to keep all of it."
            )
        if "video" not in self.wanted and options.subtitles and options.subtitle_mode == "soft":
            self.ctx.warning("Soft subtitles go into a video file only, so they were left out.")

    def _write_texts(self) -> None:
        options = self.line.options
        texts.lay_out_fonts(self.folder)
        if options.watermark is not None:
            self.mark = texts.write_watermark(options.watermark, self.line.size, self.folder)
        if options.subtitles:
            start = float(self.line.cut[0] / self.line.fps)
            texts.write_subtitles(Path(options.subtitles), self.folder, start, self.line.seconds)

    def _measure(self, target: float) -> str:
        found = loudness.adjust(self.line, target, self.folder, self._report())
        self.finished += self.line.seconds
        if found is None:
            self.ctx.warning("The sound is silent, so its loudness was left as it is.")
            return ""
        self.ctx.metric("loudness_before", found.before, "LUFS")
        self.ctx.metric("loudness_after", found.after, "LUFS")
        self.ctx.metric("peaks_limited", float(found.limited))
        if found.limited and abs(found.after - target) > LOUDNESS_TOLERANCE:
            self.ctx.warning(
                f"The peaks are too high for {target:g} LUFS; the result has {found.after:.1f}."
            )
        return found.filter

    @property
    def _measures(self) -> bool:
        return self.line.options.loudness is not None and bool({"video", "audio"} & {*self.wanted})

    def _report(self) -> Report:
        """Progress in seconds of media, over all files that are made and the measuring."""
        seconds = self.line.seconds
        total = round(seconds * (len(self.wanted) + self._measures), 2)

        def report(done: float) -> None:
            self.ctx.progress(round(self.finished + min(done, seconds), 2), total, "seconds")

        return report

    def _video(self, container: str, name: str) -> list[str]:
        line = self.line
        copied = line.can_copy_picture(container)
        picture = [] if copied else graph.picture_graph(line, self.mark)
        plain = not line.sounds or line.can_copy_sound(container)
        sound = [] if plain else graph.sound_graph(line, self.loudness)
        return encode.video_argv(line, container, picture, sound, name)

    def _audio(self, container: str, name: str) -> list[str]:
        line = self.line
        if not line.sounds:
            raise InputError(
                "There is no sound to write.", hint="Give --audio or --music.", code="no_sound"
            )
        # The sound file has one codec, whatever codec was asked for the video's sound.
        own = replace(line, options=replace(line.options, audio_codec="auto"))
        copied = own.can_copy_sound(container)
        sound = [] if copied else graph.sound_graph(line, self.loudness)
        return encode.audio_argv(line, container, sound, name)

    def _poster(self, container: str, name: str) -> list[str]:
        line, options = self.line, self.line.options
        seconds = options.poster_time
        if seconds is None:
            # Past the fade-in and past a first frame that is often black.
            seconds = min(max(1.0, options.fade_in), line.seconds / 2)
        chains = graph.poster_graph(line, self.mark, seconds)
        return encode.poster_argv(line, container, chains, name)


if __name__ == "__main__":
    run(Postprocess)
