"""The gate beside a good adapter and one of each fault."""

from dataclasses import dataclass
from typing import Any

from gateway.client import GatewayError
from tests.bench.proofs import shop
from tests.bench.proofs.stack import Tenant

__all__ = ["GATES", "GateFigures", "describe", "run_gate"]

GATES = {
    "house": "",
    "alone": "general",
    "sour": "style",
    "recites": "faithfulness",
    "forgets": "general",
    "unsafe": "general",
}
"""The part of the gate that has to block each adapter; of the good one, none."""
_SHOWN = (
    *("style.likelihood", "style.control", "style.voice", "style.rules", "style.likeness"),
    *("faithfulness", "faithfulness.follows", "faithfulness.abstains"),
    *("general", "general.instructions", "general.refusals", "general.neutral"),
)


@dataclass(frozen=True, slots=True)
class GateFigures:
    """The end of a gate: the checks by name, those that failed, and the seconds from its request to its end."""

    kind: str
    checks: dict[str, dict[str, Any]]
    failed: list[str]
    undecided: list[str]
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether it blocks by the number that has to, or passes the good one."""
        parts = {name.partition(".")[0] for name in self.failed}
        return GATES[self.kind] in parts if GATES[self.kind] else not parts


async def run_gate(tenant: Tenant, kind: str, adapter: str, store: str, prompt: str) -> GateFigures:
    """Gate a release of an adapter against the base, and read its report; one that an earlier run began goes on."""
    url = f"/api/assistants/gate-{kind}/releases/1/gate"
    try:
        await tenant.client.get(url)
    except GatewayError:
        retrieval = {"vector_stores": [store], "top_k": 2}
        await tenant.release(f"gate-{kind}", adapter=adapter, prompt=prompt, retrieval=retrieval)
        await tenant.client.post(url, {"file_id": await tenant.upload(shop.held_out_rows())})
    done, _ = await tenant.measure(f"gate of {kind}", url)
    report = done["report"]
    checks = {one["name"]: one for one in report["checks"]}
    return GateFigures(kind, checks, report["failed"], report["undecided"], done["finished_at"] - done["created_at"])


def describe(figures: list[GateFigures]) -> str:
    """Write the figures as a table: candidate − base with its interval."""
    lines = ["| figure | " + " | ".join(one.kind for one in figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for name in _SHOWN:
        lines.append(f"| `{name}` | " + " | ".join(_show(one.checks[name], name) for one in figures) + " |")
    lines.append("| failed | " + " | ".join(", ".join(one.failed) or "–" for one in figures) + " |")
    lines.append("| of these undecided | " + " | ".join(", ".join(one.undecided) or "–" for one in figures) + " |")
    verdicts = [f"{'blocks' if one.failed else 'passes'}, {_judge(one)}" for one in figures]
    lines.append("| verdict | " + " | ".join(verdicts) + " |")
    lines.append("| seconds | " + " | ".join(f"{one.seconds:.0f}" for one in figures) + " |")
    return "\n".join(lines)


def _show(check: dict[str, Any], name: str) -> str:
    difference = check["difference"]
    if difference is None:
        return "–"
    text = f"{difference['value']:+.2f} ({difference['low']:+.2f} to {difference['high']:+.2f})"
    return f"**{text}**" if check["passed"] is False else text


def _judge(figures: GateFigures) -> str:
    return "right" if figures.is_right else "wrong"
