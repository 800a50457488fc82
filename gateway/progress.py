"""A command's progress, as it tells it: numbered steps with their times, and a line for what takes long."""

import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from rich.console import RenderableType
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from gateway.terminal import open_console

__all__ = ["Progress", "ProgressLine"]

_LINE_SECONDS = 10.0


class ProgressLine:
    """The progress of one thing that takes long: a bar on a terminal, else a line now and then."""

    def __init__(self, title: str, bar: Bar | None) -> None:
        self._title = title
        self._bar = bar
        self._task = bar.add_task(title, total=None, detail="") if bar else None
        self._last_shown = time.monotonic()

    def show(self, amount: float, total: float, detail: str = "") -> None:
        """Show how far it is."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=amount, total=total, detail=detail)
        elif time.monotonic() - self._last_shown >= _LINE_SECONDS:
            self._last_shown = time.monotonic()
            open_console().print(f"   {self._title}: {amount:.0f} of {total:.0f} {detail}", markup=False)


class Progress:
    """Tells steps, and keeps how long each took.

    Args:
        forecast: From the seconds of the finished steps to those of the others; told with each step.

    Attributes:
        seconds: Of each finished step, by its name.
    """

    def __init__(self, forecast: Callable[[Mapping[str, float]], float] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._forecast = forecast
        self._start = time.monotonic()
        self._console = open_console()

    def tell(self, text: str) -> None:
        """Print a line, or several."""
        self._console.print("\n".join(f"   {line}" for line in text.split("\n")), markup=False)

    def tell_as_is(self, text: str) -> None:
        """Print text that is copied from the terminal: an indented here-document would never end."""
        self._console.print(text, markup=False, soft_wrap=True)

    def print(self, renderable: RenderableType) -> None:
        """Print what rich can draw, such as a table."""
        self._console.print(renderable)

    def measure_elapsed(self) -> float:
        """Return the seconds since the beginning."""
        return round(time.monotonic() - self._start, 1)

    @contextmanager
    def step(self, name: str, title: str) -> Generator[None]:
        """Tell one step: its title now, its time at the end."""
        time_left = "" if self._forecast is None else f"  [dim]({_format_left(self._forecast(self.seconds))})[/dim]"
        self._console.print(f"\n[bold]{len(self.seconds) + 1}. {title}[/bold]{time_left}")
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)
        self._console.print(f"   [dim]{self.seconds[name]:.0f} s[/dim]")

    @contextmanager
    def line(self, title: str) -> Generator[ProgressLine]:
        """Open a line for something that takes long, inside a step."""
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
        with Bar(*columns, console=self._console, transient=True) as bar:
            yield ProgressLine(title, bar)


def _format_left(seconds: float) -> str:
    return f"about {seconds / 60:.0f} minutes to go" if seconds >= 90 else "about a minute to go"
