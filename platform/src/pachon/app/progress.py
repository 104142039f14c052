"""How a starting platform shows what it does: a live display on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Display(Protocol):
    """Where progress goes."""

    def begin(self, step: str) -> None:
        """A step begins."""
        ...

    def note(self, step: str, text: str, *, fraction: float | None = None) -> None:
        """Something to say about a step that goes on; `fraction` (0 to 1) where it is known."""
        ...

    def done(self, step: str, text: str = "ready") -> None:
        """A step has ended well."""
        ...

    def say(self, line: str) -> None:
        """A line of its own."""
        ...


class PlainDisplay:
    """Lines, for logs and scripts."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._noted: dict[str, str] = {}

    def begin(self, step: str) -> None:
        """Print nothing yet: the end is the news."""
        self._began[step] = time.monotonic()

    def note(self, step: str, text: str, *, fraction: float | None = None) -> None:
        """Print a note once, without its running figures."""
        del fraction
        if self._noted.get(step) != text:
            self._noted[step] = text
            self.say(f"{step}: {text}")

    def done(self, step: str, text: str = "ready") -> None:
        """Print how it ended and how long it took."""
        took_s = time.monotonic() - self._began.get(step, time.monotonic())
        self.say(f"{step}: {text} ({took_s:.1f} s)")

    def say(self, line: str) -> None:
        """Print at once."""
        print(line, flush=True)  # noqa: T201 -- this is the display


class LiveDisplay:
    """One line a step, with a spinner, a bar where a fraction is known, and the time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def begin(self, step: str) -> None:
        """Add a line."""
        self._tasks[step] = self._progress.add_task(step, total=None, text="")

    def note(self, step: str, text: str, *, fraction: float | None = None) -> None:
        """Change the line."""
        total = None if fraction is None else 1.0
        self._progress.update(self._tasks[step], text=text, total=total, completed=fraction or 0.0)

    def done(self, step: str, text: str = "ready") -> None:
        """Complete the line."""
        self._progress.update(self._tasks[step], text=text, total=1.0, completed=1.0)

    def say(self, line: str) -> None:
        """Print above the lines."""
        self._progress.console.print(line, highlight=False)


@contextmanager
def display() -> Iterator[Display]:
    """The display that fits where the output goes."""
    if not sys.stdout.isatty():
        yield PlainDisplay()
        return
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=Console()) as progress:
        yield LiveDisplay(progress)
