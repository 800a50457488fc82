"""The facts of a job's rows, looked up before they are trained on: what documents have changed stops it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.conversations import Conversation
from gateway.conversations.facts_lint import FactsLint, describe_document, describe_facts
from gateway.conversations.findings import RowFact
from gateway.conversations.formats import read_conversations
from gateway.counts import format_count
from gateway.db import Database
from gateway.errors import BadRequest, NotFound, Unavailable
from gateway.files.service import find_file
from gateway.fine_tuning.dataset import choose_row_format
from gateway.fine_tuning.event_log import add_event
from gateway.fine_tuning.learnt_facts import open_store_facts
from gateway.fine_tuning.repository import FineTuningJobRepository, LearntFactRepository
from gateway.fine_tuning.tables import FineTuningJobRow, LearntFactRow
from gateway.ids import new_id
from gateway.jobs import Claim, JobCancelled, JobDelayed, JobFailed, failpoint
from retrieval.client import Retriever

__all__ = ["FactsGate"]

_LISTED_ROWS = 100
_SHOWN_VALUES = 5
_RETRIEVER_SECONDS = 5.0


class FactsGate:
    """Looks at the facts of jobs that name stores, for it or for their rows' evidence, once per job."""

    def __init__(self, database: Database, retriever: Retriever, artifacts: Artifacts) -> None:
        self._database = database
        self._retriever = retriever
        self._artifacts = artifacts

    async def check(self, claim: Claim) -> None:
        """Tell the job's owner where the facts of its rows stand, and keep those that it learns from documents.

        Raises:
            JobFailed: Documents have changed some, and the job isn't forced; or a store is gone.
            JobDelayed: The retriever can't answer now.
            JobCancelled: The owner has cancelled the job.
        """
        async with self._database.read() as session:
            job = await FineTuningJobRepository(session, claim.tenant).get(claim.subject)
            options = job.braid.get("facts")
            if not options:
                return
            recorded = await LearntFactRepository(session, claim.tenant).list_of([job.id])
            if recorded or job.braid.get("facts_checked"):
                # What was found is kept before the job fails for it, and a worker may have been killed in between.
                stale = [fact for fact in recorded if fact.changed]
                _refuse_changed(
                    [f"{fact.text!r} in row {row} ({fact.document_key})" for fact in stale for row in fact.rows],
                    options,
                )
                return
            file = await find_file(session, claim.tenant, job.training_file)
        # Rendered rows have their passages in the prompt: those of a job with evidence, and the file's has none.
        is_prepared = bool(job.braid.get("evidence"))
        digest = file.digest if file is not None and not is_prepared else job.rows_digest
        assert digest is not None
        data = await asyncio.to_thread(self._artifacts.locate_file(digest).read_bytes)
        _, content = await asyncio.to_thread(
            read_conversations, data, choose_row_format(job.braid.get("method", "supervised"))
        )
        own, rehearsed = content.conversations, job.braid.get("rehearsed")
        if rehearsed and digest == job.rows_digest:  # the base's own answers stand behind the job's rows
            own = own[:-rehearsed]
        facts, unread = await self._classify(claim, options["vector_stores"], own)
        async with claim.begin() as session:
            current = await FineTuningJobRepository(session, claim.tenant).lock(job.id)
            current.braid = {**current.braid, "facts_checked": True}
            _record(session, claim.tenant, job, facts, unread)
        failpoint("facts-recorded")
        _refuse_changed(
            [
                f"{fact.text!r} in row {fact.row} ({describe_document(fact)})"
                for fact in facts
                if fact.place == "changed"
            ],
            options,
        )

    async def _classify(
        self, claim: Claim, stores: Sequence[str], conversations: Sequence[Conversation]
    ) -> tuple[list[RowFact], int]:
        """Return the values of the rows, and of how many deleted documents nothing is kept to compare with."""
        facts: list[RowFact] = []
        try:
            parts = (self._database, self._retriever, self._artifacts, claim.tenant)
            lint = FactsLint(await open_store_facts(*parts, stores))
            for conversation in conversations:
                if claim.cancelled.is_set():
                    raise JobCancelled
                facts += await lint.classify(conversation)
        except Unavailable as error:
            raise JobDelayed(error.message, seconds=_RETRIEVER_SECONDS) from error
        except (BadRequest, NotFound) as error:
            raise JobFailed("facts_unknown", f"The facts can't be looked up. {error.message}") from error
        return facts, lint.unread


def _refuse_changed(places: Sequence[str], options: Mapping[str, Any]) -> None:
    """Fail a job whose rows have values that documents have changed, each with its place, unless it is forced."""
    if places and not options["force"]:
        raise JobFailed(
            "changed_facts",
            f"{format_count(len(places), 'value')} in replies stood in earlier versions of documents, or in deleted "
            f"ones: {', '.join(places[:_SHOWN_VALUES])}. An adapter would recite them. Correct or remove those rows, "
            "or set braid.facts.force.",
        )


def _record(session: AsyncSession, tenant: str, job: FineTuningJobRow, facts: Sequence[RowFact], unread: int) -> None:
    """Write the events of the findings, and a row per value that a document states or stated."""
    for finding in describe_facts(facts, unread):
        level = "info" if finding.level == "info" else "warn"
        data = {"check": finding.check, "count": finding.count, "rows": finding.rows, **finding.details}
        add_event(session, tenant, job.id, finding.message, level=level, data=data)
    fact_rows: dict[tuple[str, ...], LearntFactRow] = {}
    repository = LearntFactRepository(session, tenant)
    for fact in facts:
        if not fact.document:
            continue
        row = fact_rows.get((fact.document, *fact.readings))
        if row is None:
            row = fact_rows[fact.document, *fact.readings] = repository.add(
                LearntFactRow(
                    id=new_id("fact_"),
                    created_at=int(time.time()),
                    fine_tuning_job_id=job.id,
                    store_id=fact.store,
                    document_id=fact.document,
                    document_key=fact.key,
                    document_version=fact.version or fact.stated,
                    kind=fact.kind,
                    text=fact.text,
                    readings=list(fact.readings),
                    rows=[],
                    changed=fact.place == "changed",
                )
            )
        if len(row.rows) < _LISTED_ROWS:
            row.rows = [*row.rows, fact.row]
