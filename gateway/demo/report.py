"""The demo's results: what it promised, what it reached, and the table that people see."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from gateway.demo.assistants import BOTH, FACTS, STYLE
from gateway.demo.edit import EditOutcome
from gateway.demo.environment import Environment
from gateway.demo.first_answers import FirstAnswer
from gateway.demo.size import SIZES, Promises
from gateway.demo.swap import SwapOutcome
from gateway.demo.training import TrainedAdapter
from gateway.evaluation import ScoredAnswer, VariantResult

__all__ = ["METHOD", "Report", "find_shortfalls", "make_table"]

METHOD = (
    "Temperature 0, at most 40 tokens, streamed. Style is the share of the tenant's style rules that an answer meets, "
    "with a bootstrap interval; facts and citations are shares of answers, with Wilson's interval; all intervals are "
    "95 %. First token and latency are medians over answers that were asked one after the other with nothing else "
    "running; all other questions were asked eight at once, which changes times but not answers' scores. Of questions "
    "that the documents don't answer, facts are the share that says so, and cited right the share that cites nothing."
)


class Report(msgspec.Struct, frozen=True):
    """Everything that a demo found out.

    Attributes:
        step_seconds: Of each step, by its name.
        first_answers: From documents alone before anything is trained, then of each tenant's first release.
        adapters: By tenant.
        second_adapter: The public name of the adapter that is swapped in.
        results: Figures over all tenants, by variant.
        by_tenant: The same for each tenant.
        unanswered: Figures over questions that the documents don't answer, by variant that searches them.
    """

    size: str
    environment: Environment
    base_model: str
    step_seconds: dict[str, float]
    first_answers: list[FirstAnswer]
    adapters: dict[str, TrainedAdapter]
    second_adapter: str
    results: dict[str, VariantResult]
    by_tenant: dict[str, dict[str, VariantResult]]
    edit: EditOutcome
    swap: SwapOutcome
    answers: list[ScoredAnswer]
    unanswered: dict[str, VariantResult] = {}
    unanswered_answers: list[ScoredAnswer] = []
    created_at: int = msgspec.field(default_factory=lambda: int(time.time()))
    method: str = METHOD

    def list_faults(self) -> list[str]:
        """Return the promises that the demo broke; empty when it kept them all."""
        return [
            *(f"both: {fault}" for fault in find_shortfalls(self.results, SIZES[self.size].promises)),
            *(f"edit: {fault}" for fault in self.edit.list_faults()),
            *(f"swap: {fault}" for fault in self.swap.list_faults()),
        ]

    def save(self, file: Path) -> None:
        """Write it as JSON, with `passed` and `faults`."""
        file.parent.mkdir(parents=True, exist_ok=True)
        faults = self.list_faults()
        content: dict[str, Any] = {"passed": not faults, "faults": faults, **msgspec.to_builtins(self)}
        file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))


def find_shortfalls(results: Mapping[str, VariantResult], promises: Promises) -> list[str]:
    """Return where "both" misses what the demo promises."""
    both, style, facts = results[BOTH], results[STYLE], results[FACTS]
    cited_right = both.cited.value if both.cited else 0.0
    reached = {
        "style": (both.style.value, promises.style),
        "facts": (both.facts.value, promises.facts),
        "citations": (cited_right, promises.cited),
    }
    shortfalls = [
        f"{name}: {value:.2f}, and at least {least} is promised"
        for name, (value, least) in reached.items()
        if value < least
    ]
    if promises.no_worse_than_parts and both.style.value < style.style.value:
        shortfalls.append(f"style: {both.style.value:.2f}, below style only ({style.style.value:.2f})")
    if promises.no_worse_than_parts and both.facts.value < facts.facts.value:
        shortfalls.append(f"facts: {both.facts.value:.2f}, below facts only ({facts.facts.value:.2f})")
    return shortfalls


def make_table(
    results: Mapping[str, VariantResult], title: str, unanswered: Mapping[str, VariantResult] | None = None
) -> Table:
    """Return a table with one line per variant, and one per variant of `unanswered`."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in ("variant", "style", "facts", "cited right", "prompt tokens", "first token", "latency", "n"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    rows = [(result.label, result) for result in results.values()]
    rows += [(f"{result.label}, without an answer", result) for result in (unanswered or {}).values()]
    for label, result in rows:
        table.add_row(
            label,
            str(result.style),
            str(result.facts),
            str(result.cited) if result.cited else "–",
            f"{result.prompt_tokens:.0f}",
            _format_seconds(result.first_token),
            _format_seconds(result.latency),
            str(result.style.n),
        )
    return table


def _format_seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f} s"
