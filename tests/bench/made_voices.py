"""The likeness check of a gate over made voices: what it blocks of wrong ones, and of tenants' own.

    .venv/bin/python -m tests.bench.made_voices        some minutes of one core

Each voice of `tests.gateway.gates.made_voices` is a tenant's beside each base's way to write; every other voice is an
adapter's, and so is the tenant's own.
"""

import random
from collections import Counter

from msgspec.structs import replace

from gateway.gates.style_checks import judge_likeness
from tests.gateway.gates.made_voices import BASES, VOICES, MadeFact, draw_facts
from tests.gateway.gates.test_judge import row

__all__ = ["count_blocked"]

Outcomes = Counter[tuple[str, str]]


def count_blocked(rows: int, seed: int) -> Outcomes:
    """Count outcomes by kind of adapter; misses by tenant and base."""
    counts: Outcomes = Counter()
    for tenant in VOICES:
        facts = draw_facts(rows, random.Random(f"{tenant} {rows} {seed}"))
        replies = _write(tenant, facts, seed)
        for base in BASES:
            bases = _write(base, facts, seed)
            own = _write(tenant, facts, seed + 100)
            others = [("wrong", _write(name, facts, seed)) for name in VOICES if name != tenant]
            for kind, answers in [("own", own), *others]:
                outcome = _judge(replies, bases, answers)
                counts[kind, outcome] += 1
                if (outcome == "blocked") == (kind != "wrong") and outcome != "not decided":
                    counts[f"{kind}: {tenant} beside {base}", outcome] += 1
    return counts


def _judge(replies: list[str], bases: list[str], answers: list[str]) -> str:
    rows = [
        replace(row(number), reply=reply, answers={"base": base, "candidate": answer})
        for number, (reply, base, answer) in enumerate(zip(replies, bases, answers, strict=True))
    ]
    (check,) = judge_likeness(rows)
    return {None: "not decided", True: "passes", False: "blocked"}[check.passed]


def _write(voice: str, facts: list[MadeFact], seed: int) -> list[str]:
    chance = random.Random(f"{voice} {seed}")
    return [{**VOICES, **BASES}[voice](fact, chance) for fact in facts]


def main() -> None:
    counts: Outcomes = Counter()
    for rows in (10, 20, 40):
        counts += count_blocked(rows, rows)
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{kind}: {outcome} {count}", flush=True)


if __name__ == "__main__":
    main()
