"""What the demo found, as a table for people and as JSON."""

import time
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from gateway.cli.demo.arms import Arm
from gateway.cli.demo.edit import EditOutcome
from gateway.cli.demo.estimate import Estimate
from gateway.cli.demo.exam import ArmResult, Marked, shortfalls
from gateway.cli.demo.lessons import Adapter
from gateway.cli.demo.setting import Setting
from gateway.cli.demo.swap import SwapOutcome
from gateway.cli.output import talk

__all__ = ["HOW_MEASURED", "Report", "show_table"]

HOW_MEASURED = (
    "Temperature 0, at most 40 tokens, streamed. Style is the share of the house's rules that an answer meets, with a "
    "bootstrap interval; facts and citations are shares of answers, with Wilson's interval; all intervals are 95 %. "
    "First token and latency are medians over answers that were asked one after the other with nothing else running; "
    "all other questions were asked eight at once, which changes times but not answers' scores."
)


class Report(msgspec.Struct, frozen=True):
    """Everything; `faults` is empty when the demo kept its promises."""

    setting: Setting
    base_model: str
    step_seconds: dict[str, float]
    adapters: dict[str, Adapter]
    results: dict[str, ArmResult]
    by_tenant: dict[str, dict[str, ArmResult]]
    edit: EditOutcome
    swap: SwapOutcome
    answers: list[Marked]
    made_at: int = msgspec.field(default_factory=lambda: int(time.time()))
    how_measured: str = HOW_MEASURED

    def faults(self) -> list[str]:
        """Say what the demo promised and didn't keep."""
        return [
            *(f"both: {fault}" for fault in shortfalls(self.results)),
            *(f"edit: {fault}" for fault in self.edit.faults()),
            *(f"swap: {fault}" for fault in self.swap.faults()),
        ]

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {"passed": not self.faults(), "faults": self.faults(), **msgspec.to_builtins(self)}
        file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))


def show_table(results: dict[str, ArmResult], title: str) -> None:
    """Print one line a way of asking."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in ("asked", "style", "facts", "cited right", "prompt tokens", "first token", "latency", "n"):
        table.add_column(column, justify="left" if column == "asked" else "right")
    for name, result in results.items():
        table.add_row(
            Arm(name).label,
            _figure(result.style),
            _figure(result.facts),
            _figure(result.cited) if result.cited else "–",
            f"{result.prompt_tokens:.0f}",
            f"{result.first_token:.2f} s",
            f"{result.latency:.2f} s",
            str(result.style.n),
        )
    talk().print(table)


def _figure(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"
