"""The facts that adapters have learnt and that documents have changed since."""

import asyncio
from collections.abc import Mapping

from gateway.adapters.service import list_names
from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.errors import NotFound
from gateway.evaluation.values import KINDS, Kind, TextValues, Value, find_values
from gateway.fine_tuning.fact_schemas import FactState, StaleFact, StaleFacts
from gateway.fine_tuning.repository import FineTuningJobRepository, LearntFactRepository
from gateway.fine_tuning.tables import LearntFactRow
from gateway.vector_stores.search import read_states
from gateway.vector_stores.version_texts import DocumentTexts, LiveDocument, list_present
from retrieval.client import Retriever

__all__ = ["MOST_DOCUMENTS", "DocumentValues", "StaleFactsService", "has_moved", "judge_fact", "states_fact"]

MOST_DOCUMENTS = 200
"""The most documents whose present texts are read for one request, or one look of a worker's."""


class DocumentValues:
    """Reads the values that one tenant's documents state now."""

    def __init__(self, database: Database, retriever: Retriever, artifacts: Artifacts, tenant: str) -> None:
        self._database = database
        self._tenant = tenant
        self._texts = DocumentTexts(database, retriever, artifacts, tenant)

    async def read(self, document: LiveDocument, id: str) -> TextValues | None:
        """Read a document, also one whose store has expired: it is what it was.

        It is None where the index has no text of it there: it was moved or deleted meanwhile.

        Raises:
            NotFound: Its store was deleted meanwhile.
            Unavailable: The retriever can't answer now, or hasn't all of the store's documents.
        """
        async with self._database.read() as session:
            states = await read_states(session, self._tenant, [document.store], expired_too=True)
        text = await self._texts.read_present(states, document.store, id)
        return await asyncio.to_thread(TextValues.of, text) if text else None


class StaleFactsService:
    """One tenant's stale facts, found when they are asked for: no edit of a document waits for it."""

    def __init__(self, database: Database, retriever: Retriever, artifacts: Artifacts, tenant: str) -> None:
        self._database = database
        self._tenant = tenant
        self._values = DocumentValues(database, retriever, artifacts, tenant)

    async def list(self, adapter: str | None) -> StaleFacts:
        """Return the stale facts of an adapter, or of all that may answer.

        Raises:
            NotFound: The tenant has no such adapter.
            Unavailable: The retriever can't answer now.
        """
        async with self._database.read() as session:
            names = {one.model for one in await list_names(session, self._tenant)}
            if adapter is not None and adapter not in names:
                raise NotFound(f"No adapter {adapter!r} is ready. GET /api/adapters lists yours.", param="adapter")
            models = await FineTuningJobRepository(session, self._tenant).list_models({adapter} if adapter else names)
            facts = await LearntFactRepository(session, self._tenant).list_of(models)
            present = await list_present(session, self._tenant, {fact.document_id for fact in facts})
        doubtful = [fact for fact in facts if has_moved(fact, present)]
        document_ids = sorted({fact.document_id for fact in doubtful} & present.keys())
        texts = {id: await self._values.read(present[id], id) for id in document_ids[:MOST_DOCUMENTS]}
        evidence = {id: text for id, text in texts.items() if text is not None}
        fact_states: list[tuple[LearntFactRow, FactState | None]] = [
            (fact, judge_fact(fact, present, evidence)) for fact in doubtful
        ]
        data = [
            _to_schema(models[fact.fine_tuning_job_id], fact, state, present.get(fact.document_id))
            for fact, state in fact_states
            if state is not None
        ]
        return StaleFacts(data=data, unread_documents=len(document_ids) - len(evidence))


def has_moved(fact: LearntFactRow, present: Mapping[str, LiveDocument]) -> bool:
    """Tell whether a fact's document may say something else than what was learnt."""
    document = present.get(fact.document_id)
    return fact.changed or document is None or document.version != fact.document_version


def judge_fact(
    fact: LearntFactRow, present: Mapping[str, LiveDocument], evidence: Mapping[str, TextValues]
) -> FactState | None:
    """Return what became of a fact; None where its document still states it, or wasn't read."""
    if fact.document_id not in present:
        return "deleted"
    text = evidence.get(fact.document_id)
    return None if text is None or states_fact(text, fact) else "changed"


def states_fact(evidence: TextValues, fact: LearntFactRow) -> bool:
    """Tell whether a text states a fact, as it was read when it was learnt, or as its text is read today.

    What was a code once, such as `512KB`, may be a quantity since then, and what was an amount that of a rate:
    `5 €` was learnt of `5 € per month`.
    """
    kinds: dict[str, Kind] = {kind: kind for kind in KINDS}
    row_value = Value(kinds[fact.kind], fact.text, 0, len(fact.text), tuple(fact.readings))
    anew = [value for value in find_values(fact.text) if value.text == fact.text]
    return evidence.has_rate(row_value) or any(evidence.states(value) for value in (row_value, *anew))


def _to_schema(model: str, fact: LearntFactRow, state: FactState, document: LiveDocument | None) -> StaleFact:
    return StaleFact(
        adapter=model,
        fine_tuning_job_id=fact.fine_tuning_job_id,
        kind=fact.kind,
        text=fact.text,
        rows=fact.rows,
        vector_store_id=fact.store_id,
        document_id=fact.document_id,
        document_key=fact.document_key,
        learnt_version=fact.document_version,
        version=None if document is None else document.version,
        state=state,
    )
