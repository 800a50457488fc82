"""What the demo tells while it runs: numbered steps with their times, and progress of what takes long."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.cli.output import talk

__all__ = ["Narration", "ProgressLine"]

_LINE_SECONDS = 10.0


class ProgressLine:
    """Progress of one thing that takes long; on a terminal a bar, else a line now and then."""

    def __init__(self, title: str, bar: Progress | None) -> None:
        self._title = title
        self._bar = bar
        self._task = bar.add_task(title, total=None, detail="") if bar else None
        self._told = time.monotonic()

    def at(self, done: float, of: float, detail: str = "") -> None:
        """Show how far it is."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=of, detail=detail)
        elif time.monotonic() - self._told >= _LINE_SECONDS:
            self._told = time.monotonic()
            talk().print(f"   {self._title}: {done:.0f} of {of:.0f} {detail}", markup=False)


class Narration:
    """Tells steps and keeps how long each took, in seconds, by its name."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._console = talk()

    def tell(self, text: str) -> None:
        self._console.print(f"   {text}", markup=False)

    @contextmanager
    def step(self, name: str, title: str) -> Generator[None]:
        """One step: its title now, its time at the end."""
        self._console.print(f"\n[bold]{len(self.times) + 1}. {title}[/bold]")
        started = time.monotonic()
        yield
        self.times[name] = round(time.monotonic() - started, 1)
        self._console.print(f"   [dim]{self.times[name]:.0f} s[/dim]")

    @contextmanager
    def progress(self, title: str) -> Generator[ProgressLine]:
        """Something that takes long, inside a step."""
        if not sys.stderr.isatty():
            yield ProgressLine(title, None)
            return
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            yield ProgressLine(title, bar)
