"""The facts that documents have changed since: in the conversations, and in what the adapter has learnt."""

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from gateway.advice.measurements import RowAnswers
from gateway.advice.row_facts import ChangedFact, read_value
from gateway.conversations.findings import RowFact
from gateway.evaluation.values import TextValues, find_values
from gateway.fine_tuning.fact_schemas import StaleFact

__all__ = ["list_changed_facts"]


def list_changed_facts(
    facts: Mapping[int, Sequence[RowFact]],
    learnt_rows: Collection[int],
    recorded: Sequence[StaleFact],
    rows: Sequence[RowAnswers],
) -> list[ChangedFact]:
    """List each value once per document, those that the adapter knows first.

    Args:
        facts: Those of conversations, by number.
        learnt_rows: Numbers of conversations that the adapter has learnt.
        recorded: What its training job noted of its rows, where that looked facts up.
        rows: The answers, which may recite a value.
    """
    by_reading: dict[tuple[str, str], ChangedFact] = {}
    for number, some in facts.items():
        for fact in some:
            if fact.place != "changed":
                continue
            key = (fact.key, fact.readings[0])
            one = by_reading.get(key) or ChangedFact(fact.text, fact.key, fact.stated, fact.version, [])
            is_learnt = one.learnt or number in learnt_rows
            by_reading[key] = replace(one, rows=[*one.rows, number], learnt=is_learnt)
    for stale in recorded:
        key = (stale.document_key, _find_reading(stale))
        one = by_reading.get(key) or ChangedFact(
            stale.text, stale.document_key, stale.learnt_version, stale.version or 0, []
        )
        by_reading[key] = replace(one, learnt=True)
    recitals = _count_recitals(rows)
    all_facts = [replace(one, recited=recitals.get(key, 0)) for key, one in by_reading.items()]
    return sorted(all_facts, key=lambda one: (not one.learnt, -one.recited, one.key, one.text))


def _find_reading(stale: StaleFact) -> str:
    """Return the first reading of its value, by which facts of conversations go too."""
    return next((value.readings[0] for value in find_values(stale.text) if value.kind == stale.kind), stale.text)


def _count_recitals(rows: Sequence[RowAnswers]) -> dict[tuple[str, str], int]:
    """Count the adapter's answers that state a row's changed value, by document and value."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        facts = [fact for fact in row.facts if fact.place == "changed"]
        answers = [row.answers[name] for name in ("adapter", "adapter+facts") if name in row.answers]
        for evidence in [TextValues.of(one.text) for one in answers] if facts else ():
            for fact in facts:
                if evidence.states(read_value(fact)):
                    key = (fact.key, fact.readings[0])
                    counts[key] = counts.get(key, 0) + 1
    return counts
