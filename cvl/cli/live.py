"""Progress on a terminal: one line per step, redrawn in place by rich."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from cvl.cli.progress import Clock, describe
from cvl.core.names import printable
from cvl.ops.report import Progress, Report

ENDED = ("done", "cached", "failed")


@contextmanager
def live_report() -> Iterator[Report]:
    """Draws until the block ends; the last state of every step stays on the screen."""
    bars = Bars(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<12}", markup=False),
        TextColumn("{task.fields[phase]:<6}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        # Past the outlet, for the cursor: so all texts are made harmless here.
        console=Console(file=sys.__stderr__, highlight=False),
        refresh_per_second=10,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bars:
        yield LiveReport(bars)


class LiveReport:
    """Implements cvl.ops.report.Report on a rich progress display."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._ended: set[str] = set()
        self._clock = Clock()

    def _task(self, step: str) -> TaskID:
        if step not in self._tasks:
            shown = printable(step, 24)
            self._tasks[step] = self._bars.add_task(shown, total=None, phase="", text="")
        return self._tasks[step]

    def phase(self, step: str, phase: str, text: str = "") -> None:
        if step in self._ended:  # the same step of the next variation
            self._ended.remove(step)
            self._bars.remove_task(self._tasks.pop(step))
        self._clock.begin(step)
        task = self._task(step)
        shown = printable(text, 60)
        if phase in ENDED:
            self._ended.add(step)
            self._bars.update(task, total=1, completed=1, phase=phase, text=shown)
        else:
            self._bars.update(task, phase=phase, text=shown)

    def progress(self, progress: Progress) -> None:
        text = describe(progress, self._clock)
        if progress.text:
            text = f"{text} {progress.text}"
        self._bars.update(
            self._task(progress.step),
            total=progress.total or None,
            # Not quite all: the mark of a finished step waits for its outputs to be checked.
            completed=min(progress.done, progress.total * 0.999),
            phase=progress.phase,
            text=printable(text, 80),
        )

    def message(self, text: str) -> None:
        self._bars.console.print(Text(printable(text, 500)))

    def warning(self, text: str) -> None:
        self._bars.console.print(Text(f"warning: {printable(text, 500)}", style="yellow"))
