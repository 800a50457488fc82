"""Releases that failed their gates get no more traffic than they have, unless somebody forces it and says why.

So do those whose adapter learnt from rows that a model wrote, as long as no gate has passed: nobody wrote down how they
should answer, and only a gate tells. What counts is the content, by its fingerprint: the same release under another
number is no other release.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.adapters.schemas import WrittenRowCount
from gateway.assistants.gate_verdict import GateResult, describe_looseness
from gateway.assistants.release import Stage
from gateway.assistants.schemas import ForcedRollout, GateOutcome
from gateway.assistants.tables import ReleaseRow
from gateway.errors import Conflict

__all__ = ["Override", "check_results", "describe_gate", "keep_forced", "list_blocked"]


@dataclass(frozen=True, slots=True)
class Override:
    """A reason to promote in spite of a failed gate or a missing one, and the id of the key whose holder gave it."""

    reason: str
    key: str


def list_blocked(
    stages: Sequence[Stage],
    current: Sequence[Stage],
    releases: Sequence[ReleaseRow],
    verdicts: Mapping[str, GateResult],
    written_rows: Mapping[str, WrittenRowCount],
) -> list[ReleaseRow]:
    """List the releases among the stages that their gates hold up, and whose share of the traffic would grow.

    One that serves already may keep its share or lose some: whoever moves away from it in steps isn't held up.

    Args:
        stages: The future ones.
        current: The present ones.
        releases: Those of both.
        verdicts: On their contents.
        written_rows: The rows that a model wrote for adapters of their contents, by fingerprint.
    """
    fingerprints = {row.number: row.fingerprint for row in releases}
    future, present = _sum_shares(stages, fingerprints), _sum_shares(current, fingerprints)
    numbers = {stage.release for stage in stages if stage.weight}
    return [
        row
        for row in releases
        if row.number in numbers
        and not _may_serve(verdicts.get(row.fingerprint), needs_gate=row.fingerprint in written_rows)
        and future[row.fingerprint] > present.get(row.fingerprint, 0.0)
    ]


def check_results(
    name: str,
    blocked: Sequence[ReleaseRow],
    verdicts: Mapping[str, GateResult],
    written_rows: Mapping[str, WrittenRowCount],
    override: Override | None,
) -> ForcedRollout | None:
    """Return what an override lets through of an assistant's blocked releases; None where none is blocked.

    Raises:
        Conflict: One is, and there is no override.
    """
    if not blocked:
        return None
    if override is not None:
        numbers = [row.number for row in blocked]
        return ForcedRollout(reason=override.reason, key=override.key, releases=numbers, at=int(time.time()))
    row = next((one for one in blocked if _has_failed(verdicts.get(one.fingerprint))), None)
    if row is None:
        raise _ask_for_gate(
            name, blocked[0], verdicts.get(blocked[0].fingerprint), written_rows[blocked[0].fingerprint]
        )
    raise Conflict(
        f"{name}@{row.number} failed its gate: {_describe_failure(verdicts[row.fingerprint])}. "
        f"GET /api/assistants/{name}/releases/{row.number}/gate says by how much, of the release that was asked (this "
        "one, or an equal one under another number). Promote another release, or send force: true with a reason, which "
        "stays in the rollout's record.",
        param="stages",
        code="gate_failed",
    )


def keep_forced(
    forced: Sequence[ForcedRollout], stages: Sequence[Stage], releases: Sequence[ReleaseRow]
) -> list[ForcedRollout]:
    """Return what was forced of releases that still serve in these stages, under whatever number."""
    fingerprints = {row.number: row.fingerprint for row in releases}
    serving = {fingerprints.get(stage.release): stage.release for stage in stages if stage.weight}
    rest: list[ForcedRollout] = []
    for one in forced:
        contents = dict.fromkeys(fingerprints[number] for number in one.releases if number in fingerprints)
        live = [serving[content] for content in contents if content in serving]
        if live:
            rest.append(one.model_copy(update={"releases": live}))
    return rest


def describe_gate(verdict: GateResult | None) -> GateOutcome:
    """Tell how the gates of a release's content ended."""
    if verdict is None:
        return "none"
    return "passed" if verdict.passed else "failed"


def _has_failed(verdict: GateResult | None) -> bool:
    return verdict is not None and not verdict.passed


def _may_serve(verdict: GateResult | None, *, needs_gate: bool) -> bool:
    if not needs_gate:
        return not _has_failed(verdict)
    return verdict is not None and verdict.passed and not describe_looseness(verdict, verdict)


def _ask_for_gate(name: str, row: ReleaseRow, verdict: GateResult | None, count: WrittenRowCount) -> Conflict:
    state = "no gate of it has passed"
    if verdict is not None:
        state = f"its gate passed with {', '.join(describe_looseness(verdict, verdict))}"
    return Conflict(
        f"The adapter of {name}@{row.number} learnt from rows that a model wrote ({count.rows} of {count.of}), and "
        f"{state}. POST /api/assistants/{name}/releases/{row.number}/gate, and promote it when that has passed; or "
        "send force: true with a reason, which stays in the rollout's record.",
        param="stages",
        code="gate_required",
    )


def _describe_failure(verdict: GateResult) -> str:
    worse = [name for name in verdict.failed if name not in verdict.undecided]
    parts = [", ".join(worse)] if worse else []
    if verdict.undecided:
        parts.append(f"too few rows to tell of {', '.join(verdict.undecided)}")
    return "; ".join(parts)


def _sum_shares(stages: Sequence[Stage], fingerprints: Mapping[int, str]) -> dict[str, float]:
    total = sum(stage.weight for stage in stages) or 1
    weights: dict[str, int] = {}
    for stage in stages:
        content = fingerprints.get(stage.release, "")
        weights[content] = weights.get(content, 0) + stage.weight
    return {content: weight / total for content, weight in weights.items()}  # equal ones are equal to the last bit
