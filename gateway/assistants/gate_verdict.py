"""The verdict of gates on a release's content: the newest result of all releases with its fingerprint that counts.

A looser gate than the one that failed, or than the defaults, lifts nothing: else whoever wants a failed release could
ask again until it passes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.assistants.repository import ReleaseRepository
from gateway.assistants.tables import ReleaseRow
from gateway.counts import format_count

__all__ = [
    "MARGIN",
    "NEUTRAL_MARGIN",
    "GateResult",
    "describe_looseness",
    "find_verdict",
    "find_verdicts",
    "record_gate",
    "settle",
]

MARGIN = 0.02
"""The distance below the baseline at which a gate lets its shares be, unless it is asked for another margin."""
NEUTRAL_MARGIN = 0.2


class GateResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a release's gate (`gateway.gates`), with what it was measured by.

    It is no part of the fingerprint: it says something of a release, and changes nothing of its answers.

    Attributes:
        decided_at: Unix seconds.
        failed: The names of the checks that didn't hold.
        undecided: Those among them that had too few rows to tell.
        rows: How many rows were asked; 0 where an earlier Braid didn't keep it.
        canaries: How many planted texts were looked for.
        evals: The ids of the evals that it was held to.
        general_prompts: How many prompts of the base suite it asked at most; 0 where an earlier Braid didn't keep it.
        block: The failed result that this one, being looser, doesn't lift.
    """

    passed: bool
    decided_at: int
    failed: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    margin: float = MARGIN
    neutral_margin: float = NEUTRAL_MARGIN
    rows: int = 0
    canaries: int = 0
    evals: tuple[str, ...] = ()
    general_prompts: int = 0
    block: "GateResult | None" = None


def describe_looseness(result: GateResult, failed: GateResult) -> list[str]:
    """Tell in which ways a result is looser than a failed one, or than the defaults, by what it was measured by."""
    margin, neutral = min(MARGIN, failed.margin), min(NEUTRAL_MARGIN, failed.neutral_margin)
    reasons: list[str] = []
    if result.margin > margin:
        reasons.append(f"a margin of {result.margin:g} where {margin:g} is the widest")
    if result.neutral_margin > neutral:
        reasons.append(f"a margin of neutral text of {result.neutral_margin:g} where {neutral:g} is the widest")
    if result.rows < failed.rows:
        reasons.append(f"{format_count(result.rows, 'row')} instead of at least {failed.rows}")
    if result.general_prompts < failed.general_prompts:
        prompts = format_count(result.general_prompts, "prompt")
        reasons.append(f"at most {prompts} of the base suite instead of {failed.general_prompts:,} or more")
    if result.canaries < failed.canaries:
        reasons.append(f"{format_count(result.canaries, 'planted text')} instead of at least {failed.canaries}")
    if missing := sorted(set(failed.evals) - set(result.evals)):
        reasons.append(f"without runs of the evals {', '.join(missing)}")
    return reasons


def settle(results: Iterable[GateResult]) -> GateResult | None:
    """Return the result that counts of some in the order in which they came: the last that nothing before it blocks."""
    verdict: GateResult | None = None
    for result in results:
        if verdict is None or verdict.passed or not describe_looseness(result, verdict):
            verdict = result
    return verdict


async def record_gate(session: AsyncSession, tenant: str, assistant_id: str, number: int, result: GateResult) -> None:
    """Keep how a release's gate ended; a failed one before stays beside it, unless this one lifts it."""
    row = await ReleaseRepository(session, tenant).find_by_number(assistant_id, number)
    if row is None:
        return
    verdict = settle([*_read_results(row), result])
    row.gate = msgspec.to_builtins(result if verdict is result else replace(result, block=verdict))


async def find_verdicts(session: AsyncSession, tenant: str, fingerprints: Collection[str]) -> Mapping[str, GateResult]:
    """Find the verdicts on some contents, by fingerprint; one that had no gate isn't among them."""
    results: dict[str, list[GateResult]] = {}
    for row in await ReleaseRepository(session, tenant).list_equal(fingerprints):
        results.setdefault(row.fingerprint, []).extend(_read_results(row))
    # Of two in the same second the failed one counts.
    for history in results.values():
        history.sort(key=lambda result: (result.decided_at, not result.passed))
    return {one: verdict for one, history in results.items() if (verdict := settle(history)) is not None}


async def find_verdict(session: AsyncSession, tenant: str, fingerprint: str) -> GateResult | None:
    """Find the verdict on one content; None where it had no gate."""
    return (await find_verdicts(session, tenant, [fingerprint])).get(fingerprint)


def _read_results(row: ReleaseRow) -> Iterator[GateResult]:
    if row.gate is not None:
        newest = msgspec.convert(row.gate, GateResult)
        if newest.block is not None:
            yield newest.block
        yield replace(newest, block=None)
