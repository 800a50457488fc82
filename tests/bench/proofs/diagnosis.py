"""Faults of four kinds in releases that are really served, and the strand that a diagnosis tells for each.

Every question is asked of the release with the fault, as a client asks it: those with a wrong answer are the failures,
and those with a right one the answers that passed.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from gateway.task_group import await_each
from tests.bench.proofs import shop
from tests.bench.proofs.stack import Tenant
from tests.gateway.diagnoses.planted import FAILURES

__all__ = ["FAULTS", "DiagnosisFigures", "RealFault", "describe", "list_documents", "run_diagnosis"]

_NO_TEXTS = shop.TEMPLATE.replace("{{ passage.text }}", "{{ passage.number }}")
"""A prompt whose notes lost their texts when somebody edited it."""
_ANSWER = {"temperature": 0, "max_tokens": 40}
_LISTS = {"temperature": 0.7, "max_tokens": 40}  # at 0 a lucky guess would be one each time


@dataclass(frozen=True, slots=True)
class RealFault:
    """A fault, and the strand that it is in; the documents are those of the planted fault of its name.

    Attributes:
        lists: Whether warranties stand in a list that goes by the order of names, which a small model can't follow.
        whole: Whether it spoils every answer.
    """

    name: str
    strand: str
    adapter: str = "house"
    template: str = shop.TEMPLATE
    retrieval: tuple[tuple[str, Any], ...] = ()
    lists: bool = False
    whole: bool = False


_FOR_ALL = {"type": "eq", "key": "audience", "value": "all"}
FAULTS = (
    RealFault("missing", "documents"),
    RealFault("limit", "retrieval", retrieval=(("top_k", 2),)),
    RealFault("filters", "retrieval", retrieval=(("filters", _FOR_ALL),)),
    RealFault("prompt", "prompt", template=_NO_TEXTS, whole=True),
    RealFault("stale", "style", adapter="recites"),
    RealFault("sour", "style", adapter="sour", whole=True),
    RealFault("base", "base", lists=True),
)
"""Passages that are missing and wrong, a broken prompt, bad adapters, and lists that the base can't read."""


@dataclass(frozen=True, slots=True)
class DiagnosisFigures:
    """The strands with their causes that failures went to, and those for which a release was proposed."""

    fault: RealFault
    failures: int
    passes: int
    told: Counter[tuple[str, str]]
    proposed: list[str]
    seconds: float

    @property
    def right(self) -> int:
        return sum(count for (strand, _), count in self.told.items() if strand == self.fault.strand)


async def run_diagnosis(tenant: Tenant, fault: RealFault, adapters: dict[str, str]) -> DiagnosisFigures:
    """Plant a fault in the second release of an assistant, ask it, and diagnose what it answered wrongly."""
    model = await _plant(tenant, fault, adapters)
    spoilt, others = _list_cases(fault)
    failures = [case for case in await _ask_all(tenant, model, spoilt) if not _is_right(case)]
    passes = [case for case in await _ask_all(tenant, model, others) if _is_right(case)]
    if not failures:
        return DiagnosisFigures(fault, 0, len(passes), Counter(), [], 0.0)
    body = {"model": model, "failures": failures, "passes": passes}
    id = (await tenant.client.post("/api/diagnoses", body))["id"]
    done, seconds = await tenant.measure(f"diagnosis of {fault.name}", f"/api/diagnoses/{id}")
    report = await tenant.client.get(f"/api/diagnoses/{id}/report")
    told = Counter((one["strand"], one["cause"]) for one in report["cases"])
    return DiagnosisFigures(fault, len(failures), len(passes), told, sorted(done["releases"]), seconds)


async def _plant(tenant: Tenant, fault: RealFault, adapters: dict[str, str]) -> str:
    """Make an assistant whose second release has the fault, where the first one has none."""
    good, bad = await tenant.write_prompt("desk", shop.TEMPLATE), await tenant.write_prompt("broken", _NO_TEXTS)
    documents, audiences = list_documents(fault)
    store = await tenant.make_store(f"faults-{fault.name}", documents, audiences)
    name = f"fault-{fault.name}"
    common: dict[str, Any] = {
        "adapter": adapters["house"],
        "prompt": good,
        "sampling": _LISTS if fault.lists else _ANSWER,
    }
    plain = {"vector_stores": [store], "top_k": 2}
    await tenant.release(name, **common, retrieval=plain)
    prompt = good if fault.template == shop.TEMPLATE else bad
    changed = {"adapter": adapters[fault.adapter], "prompt": prompt, "retrieval": plain | dict(fault.retrieval)}
    number = await tenant.release(name, **{**common, **changed})
    await tenant.promote(name, number)
    return f"{name}@{number}"


def list_documents(fault: RealFault) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts and the audiences of a fault's documents by their keys, one for each fact."""
    world, names = shop.TODAY, shop.TODAY.names[fault.name][:FAILURES]
    texts = {
        f"{audience}-{number}.md": (text, audience)
        for audience, some in world.documents(fault.name).items()
        for number, text in enumerate(some.split("\n\n"))
        if not (fault.lists and "warranty" in text and any(name in text for name in names))
    }
    if fault.lists:
        months = ", ".join(str(world.values["warranty", name]) for name in names)
        text = f"The warranty of the {', the '.join(names)} is, in months and in this order: {months}."
        texts["list.md"] = (text, "all")
    return {key: text for key, (text, _) in texts.items()}, {key: audience for key, (_, audience) in texts.items()}


def _list_cases(fault: RealFault) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the questions that a fault spoils, and others, with the right replies."""
    world, names = shop.TODAY, shop.TODAY.names[fault.name]
    keys = [*(("warranty", name) for name in names[:FAILURES]), *(("weight", name) for name in names[FAILURES:])]
    cases = [
        {"question": world.question(*key), "reference": shop.say("house", *key, world.values[key])} for key in keys
    ]
    return (cases, []) if fault.whole else (cases[:FAILURES], cases[FAILURES:])


async def _ask_all(tenant: Tenant, model: str, cases: list[dict[str, str]]) -> list[dict[str, str]]:
    async def ask(case: dict[str, str]) -> dict[str, str]:
        body = {"model": model, "messages": [{"role": "user", "content": case["question"]}]}
        answer = await tenant.client.post("/v1/chat/completions", body)
        text = answer["choices"][0]["message"]["content"]
        return {**case, "answer": text, "answer_id": answer["id"]}

    return await await_each(ask, cases, at_once=4)


def _is_right(case: dict[str, str]) -> bool:
    """Tell whether an answer has the value of the right reply, and its greeting."""
    value = next(word for word in case["reference"].split() if word.isdigit())
    return value in case["answer"].split() and case["answer"].startswith("Hello!")


def describe(figures: list[DiagnosisFigures]) -> str:
    """Write the figures as a table, and the share of all failures that went to the right strand."""
    lines = ["| fault | strand | failures | passes | told | right | proposed for | seconds |", "|---" * 8 + "|"]
    for one in figures:
        told = ", ".join(f"{count} {strand} ({cause})" for (strand, cause), count in one.told.most_common())
        share = f"{one.right} of {one.failures}" if one.failures else "none failed"
        proposed = ", ".join(one.proposed) or "–"
        cells = (one.fault.name, one.fault.strand, one.failures, one.passes, told or "–", share, proposed)
        lines.append(f"| {' | '.join(map(str, cells))} | {one.seconds:.0f} |")
    right, failures = sum(one.right for one in figures), sum(one.failures for one in figures)
    lines.append(f"\nTo the right strand: {right} of {failures} failures, {right / max(1, failures):.0%}.")
    return "\n".join(lines)
