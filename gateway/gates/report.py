"""The report of a gate: its checks, and the rows and prompts behind them."""

import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.answering.retrieve import gather_epochs
from gateway.gates.checks import Check, Thresholds
from gateway.gates.contestants import Contestants
from gateway.gates.judge import judge
from gateway.gates.measurements import GateMeasurements

__all__ = ["ExampleRow", "GateReport", "make_report"]

_CHARACTERS = 2000


class ExampleRow(msgspec.Struct, frozen=True):
    """One row for the eye: `broken` has the rules of the style that the candidate's answer breaks."""

    row: int
    question: str
    reply: str
    answers: dict[str, str]
    broken: list[str] = []


class GateReport(msgspec.Struct, frozen=True):
    """The whole report of a gate.

    Attributes:
        release: The candidate, as `name@number`.
        against: The release that it is compared with, or the base model.
        source: The name of the file with the held-out rows.
        rows: How many of them were asked; `skipped` didn't fit into the context, and `learnt` are in the
            training rows too, so that they weren't asked.
        unknown: The adapters whose rows aren't known, of the candidate's own and those that it was trained on from
            (imported, or the training file is gone): the rows that were asked may be among them.
        index_epochs: The stores' versions that were searched: one of each store.
        canaries: How many planted texts were looked for.
        evals: The ids of the evals whose runs were compared.
        failed: The names of the checks that don't hold.
        undecided: Those among them of which too few rows can tell: the candidate isn't shown to be worse either.
        rules: The style's rules that were learnt, each with its reason.
        lost: Prompts of the base suite that the base or the current release passes and the candidate doesn't; also
            behind its own prompt.
        general_prompts: How many prompts of the base suite were asked, of the candidate and what it is compared with;
            it might have been `most_general_prompts`. 0 where an earlier Braid didn't keep it.
        suite: The name of these prompts, which changes with them and their checks: figures over others aren't
            comparable with these.
        copied: The longest run of words that an answer shares with a reply of the training rows.
    """

    kind: Literal["gate"]
    release: str
    fingerprint: str
    against: str
    base: str
    created_at: int
    source: str
    rows: int
    skipped: list[int]
    learnt: list[int]
    index_epochs: dict[str, list[int]]
    thresholds: Thresholds
    passed: bool
    failed: list[str]
    checks: list[Check]
    rules: dict[str, str]
    lost: list[str]
    copied: str
    examples: list[ExampleRow]
    unknown: list[str] = []
    undecided: list[str] = []
    canaries: int = 0
    evals: list[str] = []
    general_prompts: int = 0
    most_general_prompts: int = 0
    suite: str = ""


def make_report(
    measurements: GateMeasurements,
    contestants: Contestants,
    thresholds: Thresholds,
    source: str,
    learnt_rows: Sequence[int],
    unknown: Sequence[str],
) -> GateReport:
    """Judge a gate's figures and write them down; `learnt_rows` are the report's `learnt`, `unknown` its own."""
    judgement = judge(measurements, thresholds, contestants.baseline.label, contestants.base.label)
    failed = [check.name for check in judgement.checks if check.passed is False]
    return GateReport(
        kind="gate",
        release=contestants.candidate.label,
        fingerprint=contestants.candidate.target.fingerprint or "",
        against=contestants.baseline.label,
        base=contestants.base.label,
        created_at=int(time.time()),
        source=source,
        rows=len(measurements.rows),
        skipped=measurements.skipped,
        learnt=list(learnt_rows),
        index_epochs=gather_epochs(row.index_epochs for row in measurements.rows),
        thresholds=thresholds,
        passed=not failed,
        failed=failed,
        checks=judgement.checks,
        rules={rule.name: rule.reason for rule in judgement.rules.rules},
        lost=list(dict.fromkeys(one.prompt for one in (*measurements.suite, *measurements.prompted) if one.is_lost)),
        copied=judgement.copied.text,
        examples=[
            ExampleRow(
                row.number,
                row.question[:_CHARACTERS],
                row.reply[:_CHARACTERS],
                {name: answer[:_CHARACTERS] for name, answer in row.answers.items()},
                judgement.rules.list_broken(row.answers["candidate"]) if measurements.judges_style else [],
            )
            for row in measurements.rows
        ],
        unknown=list(unknown),
        undecided=[check.name for check in judgement.checks if check.outcome == "undecided"],
        canaries=len(measurements.canaries),
        evals=[one.eval_id for one in measurements.evals],
        general_prompts=len(measurements.suite),
        most_general_prompts=measurements.look.most if measurements.look else len(measurements.suite),
        suite=measurements.suite_digest,
    )
