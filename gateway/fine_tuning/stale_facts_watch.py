"""A look at what adapters have learnt whenever documents have changed, from a worker's start on."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.service import list_names, note_stale_facts
from gateway.artifacts import Artifacts
from gateway.counts import format_count
from gateway.db import Database
from gateway.errors import NotFound, Unavailable
from gateway.evaluation.values import TextValues
from gateway.fine_tuning.event_log import add_event
from gateway.fine_tuning.fact_schemas import FactState
from gateway.fine_tuning.repository import FineTuningJobRepository, LearntFactRepository, list_learning_tenants
from gateway.fine_tuning.stale_facts import MOST_DOCUMENTS, DocumentValues, has_moved, judge_fact
from gateway.fine_tuning.tables import LearntFactRow
from gateway.jobs import failpoint
from gateway.vector_stores.version_texts import LiveDocument, list_present
from retrieval.client import Retriever

__all__ = ["StaleFactsWatch"]

_log = structlog.get_logger()

_FIRST_SECONDS = 3.0
_LOOK_SECONDS = 120.0
_SHOWN_FACTS = 5
_LISTED_FACTS = 20
_LISTED_ROWS = 100

Look = tuple[FactState | None, int]
"""A fact's state, and the version of its document that was looked at; 0 where that is gone."""


class StaleFactsWatch:
    """Holds what adapters have learnt against the documents again, two minutes after a change at most.

    No edit waits for it, and none tells it anything: it compares the versions of documents with those of its last look,
    which stand beside the facts, so that whatever changed a document counts, and a worker that dies leaves its look to
    the next one. Of several workers one tells of a change.
    """

    def __init__(self, database: Database, retriever: Retriever, artifacts: Artifacts) -> None:
        self._database = database
        self._retriever = retriever
        self._artifacts = artifacts

    async def run(self) -> None:
        """Look until cancelled; what a start is for goes first."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            try:
                await self.look()
            except Exception as error:
                _log.warning("learnt_facts_unreadable", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Look once at the facts of all tenants whose documents have changed since the last look.

        What fails for one tenant is logged, and keeps no other's from being looked at.
        """
        async with self._database.read() as session:
            tenants = await list_learning_tenants(session)
        for tenant in tenants:
            try:
                await self._look_at(tenant)
            except Exception as error:
                _log.warning("learnt_facts_unreadable", tenant=tenant, reason=f"{type(error).__name__}: {error}")

    async def _look_at(self, tenant: str) -> None:
        async with self._database.read() as session:
            names = {one.model for one in await list_names(session, tenant)}
            models = await FineTuningJobRepository(session, tenant).list_models(names)
            looks = await LearntFactRepository(session, tenant).list_looks(models)
            present = await list_present(session, tenant, {document for _, document, _ in looks})
            jobs = {job for job, document, looked in looks if looked != _find_version(present, document)}
            facts = await LearntFactRepository(session, tenant).list_of(jobs)
        news = [fact for fact in facts if fact.looked_version != _find_version(present, fact.document_id)]
        evidence = await self._read(tenant, news, present)
        by_job: dict[str, dict[str, Look]] = defaultdict(dict)
        for fact in news:
            moved, document = has_moved(fact, present), fact.document_id
            if not moved or document in evidence or document not in present:
                state = judge_fact(fact, present, evidence) if moved else None
                by_job[fact.fine_tuning_job_id][fact.id] = state, _find_version(present, document)
        failpoint("stale-facts-read")
        for job, by_fact in by_job.items():
            async with self._database.begin() as session:
                await _note(session, tenant, job, models[job], by_fact)

    async def _read(
        self, tenant: str, facts: Sequence[LearntFactRow], present: Mapping[str, LiveDocument]
    ) -> dict[str, TextValues]:
        """Read the documents that may say something else; what can't be read, or is too much, is for a later look.

        Each look has an order of its own: documents that can't be read keep no others from it for good.
        """
        values = DocumentValues(self._database, self._retriever, self._artifacts, tenant)
        moved = sorted({fact.document_id for fact in facts if has_moved(fact, present)} & present.keys())
        evidence: dict[str, TextValues] = {}
        away: set[str] = set()
        for document in random.sample(moved, min(MOST_DOCUMENTS, len(moved))):
            one = present[document]
            if one.store in away:
                continue
            try:
                if (text := await values.read(one, document)) is not None:
                    evidence[document] = text
            except (NotFound, Unavailable):
                away.add(one.store)
        return evidence


async def _note(session: AsyncSession, tenant: str, job: str, model: str, looks: Mapping[str, Look]) -> None:
    """Keep what a look has found of a job's facts, and tell of it where that is news."""
    await FineTuningJobRepository(session, tenant).lock(job)  # another worker may have found the same
    facts = await LearntFactRepository(session, tenant).list_of([job])
    before = {fact.id for fact in facts if fact.state}
    for fact in facts:
        if fact.id in looks:
            fact.state, fact.looked_version = looks[fact.id]
    stale = [fact for fact in facts if fact.state]
    ids = {fact.id for fact in stale}
    if ids == before:
        return
    await note_stale_facts(session, tenant, job, len(stale))
    level = "warn" if ids - before else "info"
    add_event(session, tenant, job, _describe(stale), level=level, data=_list_members(stale))
    _log.warning("learnt_facts_changed", tenant=tenant, job=job, adapter=model, stale=len(stale), before=len(before))


def _describe(stale: Sequence[LearntFactRow]) -> str:
    if not stale:
        return "Documents state all facts again that this model has learnt"
    examples = ", ".join(f"{fact.text!r} ({fact.document_key}, {fact.state})" for fact in stale[:_SHOWN_FACTS])
    more = f" and {len(stale) - _SHOWN_FACTS} more" if len(stale) > _SHOWN_FACTS else ""
    return (
        f"{format_count(len(stale), 'fact')} that this model has learnt can't be found in their documents any more: "
        f"{examples}{more}. Train it again from rows with their passages; GET /api/styles/stale_facts lists them"
    )


def _list_members(stale: Sequence[LearntFactRow]) -> dict[str, Any]:
    return {
        "check": "facts_stale",
        "count": len(stale),
        "rows": sorted({row for fact in stale for row in fact.rows})[:_LISTED_ROWS],
        "facts": [
            {"text": fact.text, "document": fact.document_key, "state": fact.state} for fact in stale[:_LISTED_FACTS]
        ],
    }


def _find_version(present: Mapping[str, LiveDocument], document: str) -> int:
    """Return the version of a document that answers; 0 where it is gone."""
    return present[document].version if document in present else 0
