"""Releases that failed their gates get no more traffic than they have, unless somebody forces it and says why."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gateway.assistants.release import GateResult, Stage
from gateway.assistants.schemas import ForcedRollout, GateOutcome
from gateway.assistants.tables import ReleaseRow
from gateway.errors import Conflict

__all__ = ["Override", "check_results", "describe_gate", "list_blocked"]


@dataclass(frozen=True, slots=True)
class Override:
    """A reason to promote in spite of a failed gate, and the id of the key whose holder gave it."""

    reason: str
    key: str


def list_blocked(stages: Sequence[Stage], current: Sequence[Stage], releases: Sequence[ReleaseRow]) -> list[ReleaseRow]:
    """List the releases whose gate failed and whose share of the traffic would grow.

    One that serves already may keep its share or lose some: whoever moves away from it in steps isn't held up.
    """
    future, present = _sum_shares(stages), _sum_shares(current)
    return [
        row
        for row in releases
        if row.gate is not None
        and not msgspec.convert(row.gate, GateResult).passed
        and future.get(row.number, 0.0) > present.get(row.number, 0.0)
    ]


def check_results(name: str, blocked: Sequence[ReleaseRow], override: Override | None) -> ForcedRollout | None:
    """Return what an override lets through of an assistant's blocked releases; None where none is blocked.

    Raises:
        Conflict: One is, and there is no override.
    """
    if not blocked:
        return None
    if override is not None:
        numbers = [row.number for row in blocked]
        return ForcedRollout(reason=override.reason, key=override.key, releases=numbers, at=int(time.time()))
    row = blocked[0]
    result = msgspec.convert(row.gate, GateResult)
    raise Conflict(
        f"{name}@{row.number} failed its gate: {', '.join(result.failed)}. "
        f"GET /api/assistants/{name}/releases/{row.number}/gate says by how much. Promote another release, or send "
        "force: true with a reason, which stays in the rollout's record.",
        param="stages",
        code="gate_failed",
    )


def describe_gate(row: ReleaseRow) -> GateOutcome:
    """Tell how a release's last gate ended."""
    if row.gate is None:
        return "none"
    return "passed" if msgspec.convert(row.gate, GateResult).passed else "failed"


def _sum_shares(stages: Sequence[Stage]) -> dict[int, float]:
    total = sum(stage.weight for stage in stages) or 1
    weights: dict[int, int] = {}
    for stage in stages:
        weights[stage.release] = weights.get(stage.release, 0) + stage.weight
    return {release: weight / total for release, weight in weights.items()}  # equal ones are equal to the last bit
