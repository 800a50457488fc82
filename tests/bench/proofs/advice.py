"""The advisor beside five made tenants, each with another need, and really trained adapters where one is asked about.

Questions, documents and voices are those of `tests.gateway.advice.made_tenants`. There a script answers; here the base
does, so that two tenants are made for it: the replies of the one that needs facts alone are the base's own, each with
the right value, and the bounded task is to name the thing that a question is about, which three examples can show a
small model.
"""

import random
from dataclasses import dataclass
from typing import Any

from gateway.task_group import await_each
from tests.bench.proofs.stack import Tenant
from tests.gateway.advice.made_tenants import Kind, MadeTenant, Question, make_tenant

__all__ = ["ADVICE", "AdviceFigures", "describe", "run_advice"]

ADVICE: dict[Kind, tuple[str, ...]] = {
    "style": ("adapter",),
    "facts": ("facts",),
    "both": ("adapter+facts",),
    "bounded": ("few-shot",),
    "stale": ("facts", "prompt+facts", "guide+facts", "few-shot+facts"),
}
"""The ways that are right for each tenant; of the last one the advisor has to name the stale values, too."""
_SEED = 21
_ROWS = {"style": 48, "facts": 60, "both": 60, "bounded": 48, "stale": 60}
_LEARNT = 0.5
_TRAINED: tuple[Kind, ...] = ("style", "both", "stale")


@dataclass(frozen=True, slots=True)
class AdviceFigures:
    """What the advisor says of one tenant."""

    kind: Kind
    report: dict[str, Any]
    seconds: float

    @property
    def is_right(self) -> bool:
        named = self.kind != "stale" or any("changed" in one for one in self.report["avoid"])
        return self.report["arm"] in ADVICE[self.kind] and named


async def run_advice(tenant: Tenant, kind: Kind) -> AdviceFigures:
    """Give a tenant its documents and adapter, ask the advisor, and read its report."""
    made = make_tenant(kind, _SEED, rows=_ROWS[kind])
    body: dict[str, Any] = {"kind": "advice", "rows": 20}
    store = ""
    if made.facts and kind not in ("style", "bounded"):
        body["vector_store_id"] = store = await tenant.make_store("handbook", made.documents())
    rows = [_to_row(question, reply) for question, reply in await _list_rows(tenant, made)]
    if kind in _TRAINED:
        facts: dict[str, Any] = {"facts": {"vector_stores": [store]}} if kind == "stale" else {}
        learnt = rows[: round(_LEARNT * len(rows))]
        epochs = 2 if kind == "stale" else 1
        adapter = await tenant.find_adapter(kind)
        body["adapter"] = adapter or await tenant.train(kind, learnt, epochs=epochs, **facts)
    if kind == "stale":
        await tenant.put_documents(store, made.documents(edited=True))
    body["file_id"] = await tenant.upload(rows, "user_data")
    id = (await tenant.client.post("/api/evaluations", body))["id"]
    _, seconds = await tenant.measure(f"advice for {kind}", f"/api/evaluations/{id}")
    return AdviceFigures(kind, await tenant.client.get(f"/api/evaluations/{id}/report"), seconds)


async def _list_rows(tenant: Tenant, made: MadeTenant) -> list[tuple[Question, str]]:
    if made.kind == "bounded":
        return [(question, question.item.partition("-")[0]) for question, _ in made.rows]
    if made.kind != "facts":
        return made.rows
    chance = random.Random(made.seed)

    async def answer(question: Question) -> tuple[Question, str]:
        value = made.facts.get((question.subject, question.item))
        text = made.plain(question, value, chance, wordy=False)
        messages = [{"role": "user", "content": f"{text}\n\n{question.text}"}]
        body = {"model": tenant.base, "messages": messages, "temperature": 0, "max_tokens": 80}
        reply: str = (await tenant.client.post("/v1/chat/completions", body))["choices"][0]["message"]["content"]
        return question, reply.strip()

    return await await_each(answer, [question for question, _ in made.rows], at_once=4)


def _to_row(question: Question, reply: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": question.text}, {"role": "assistant", "content": reply}]
    return {"messages": messages}


def describe(figures: list[AdviceFigures]) -> str:
    """Write the figures as a table: what to use, and by how much it is better in style and in facts than the base."""
    lines = [
        "| tenant | advised | right | style: base, advised | facts: base, advised | rows | seconds |",
        "|---" * 7 + "|",
    ]
    for one in figures:
        arms = {arm["name"]: arm for arm in one.report["arms"]}
        pairs = [_show(arms, one.report["arm"], measure) for measure in ("style", "facts")]
        right = "yes" if one.is_right else "no"
        cells = (one.kind, one.report["label"], right, *pairs, one.report["rows"], f"{one.seconds:.0f}")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _show(arms: dict[str, Any], arm: str, measure: str) -> str:
    before = arms["facts" if arm.endswith("facts") and measure == "style" else "base"][measure]
    after = arms[arm][measure]
    return " → ".join("–" if one is None else f"{one['value']:.2f}" for one in (before, after))
