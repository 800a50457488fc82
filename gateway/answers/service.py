"""The look-up of what an answer was made of."""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, dataclass

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.answers.counts import COUNT_SECONDS
from gateway.answers.log import AnswerLog
from gateway.answers.record import AnswerRecord, CitedPassage, Counts
from gateway.answers.repository import AnswerDocumentRepository, AnswerName, AnswerRepository
from gateway.answers.schemas import DocumentAnswer, DocumentAnswerList
from gateway.answers.tables import AnswerDocumentRow, AnswerRow
from gateway.db import cut_slices, delete_before, explain_full_disk
from gateway.errors import NotFound, Unavailable
from gateway.pages import PageRequest
from gateway.tenants.service import keeps_cited_text

__all__ = [
    "MOST_RECORDS",
    "AnswerService",
    "CitedDocuments",
    "delete_old_answers",
    "flush_records",
    "list_citing_records",
]

MOST_RECORDS = 500
"""Read at once: each has the texts of its passages, which are kilobytes."""
_CLOCK_SECONDS = 30.0
"""Clocks of gateways may differ by so much."""


async def delete_old_answers(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` records of any tenant from before a Unix time, and return the number."""
    return await delete_before(session, AnswerRow.created_at, before, limit)


async def list_citing_records(
    session: AsyncSession, tenant: str, limit: int, after: str | None = None
) -> list[AnswerRecord]:
    """List the newest records of a tenant whose answers cite documents, deleted ones too, from behind an answer's id.

    For questions to measure searches by: nobody is to be shown a record that comes from here.
    """
    answers, uses = AnswerRepository(session, tenant), AnswerDocumentRepository(session, tenant)
    citing = uses.select(AnswerDocumentRow.cited.is_(True)).with_only_columns(AnswerDocumentRow.answer_id)
    page = await answers.list_page(AnswerRow.id.in_(citing), limit=limit, after=after)
    return [msgspec.convert(row.record, AnswerRecord) for row in page.rows]


async def flush_records(log: AnswerLog) -> None:
    """Wait until the records of all answers so far are written: a client may name one the moment it has the answer.

    Raises:
        InsufficientStorage: The database's disk is full.
        Unavailable: The database takes no writes now.
    """
    if not await log.flush():
        if log.disk_is_full:
            raise explain_full_disk()
        raise Unavailable(
            "Records of answers wait to be written: the database takes no writes now. Try again.",
            code="database_unavailable",
            retry_after=2,
        )


@dataclass(frozen=True, slots=True)
class CitedDocuments:
    """The documents, which stand above: `find_live` (session, tenant, ids) returns those that aren't deleted."""

    find_live: Callable[[AsyncSession, str, Collection[str]], Awaitable[set[str]]]


class AnswerService:
    """One tenant's answers.

    What a passage says is shown while its document is there, unless the tenant keeps cited text.
    """

    def __init__(self, session: AsyncSession, tenant: str, documents: CitedDocuments) -> None:
        self._session = session
        self._tenant = tenant
        self._documents = documents
        self._answers = AnswerRepository(session, tenant)
        self._uses = AnswerDocumentRepository(session, tenant)

    async def get(self, id: str, *, param: str = "answer_id") -> AnswerRecord:
        """Return an answer's record, without the words of documents that were deleted since.

        Raises:
            NotFound: The tenant has no such answer.
        """
        row = await self._answers.get(id, param=param)
        (record,) = await self._read([row])
        return record

    async def list_records(self, ids: Collection[str]) -> dict[str, AnswerRecord]:
        """Return the records of some answers by id, as `get` does; those that aren't there (any more) are left out.

        Raises:
            ValueError: They are more than `MOST_RECORDS`.
        """
        if len(ids) > MOST_RECORDS:
            raise ValueError(f"{len(ids)} records at once are more than {MOST_RECORDS}.")
        records: dict[str, AnswerRecord] = {}
        for some in cut_slices(ids):
            rows = await self._answers.list_all(AnswerRow.id.in_(some))
            records |= {record.id: record for record in await self._read(rows)}
        return records

    async def _read(self, rows: Sequence[AnswerRow]) -> list[AnswerRecord]:
        records = [msgspec.convert(row.record, AnswerRecord) for row in rows]
        readable = await self._find_readable({one.document_id for record in records for one in record.passages})
        now = time.time()
        return [
            msgspec.structs.replace(
                record,
                passages=[
                    passage
                    if passage.document_id in readable
                    else msgspec.structs.replace(passage, text="", heading="", lead=0, tail=0, deleted=True)
                    for passage in record.passages
                ],
                counts=_read_counts(record, now),
            )
            for record in records
        ]

    async def find_citation(self, id: str, number: int, document: str | None = None) -> CitedPassage:
        """Return the passage that the mark `[number]` of an answer stands for, as it was then.

        With `document`, that document's: where several said the same, all of them stand behind one number.

        Raises:
            NotFound: The tenant has no such answer, no passage of this number was in its prompt, or its document was
                deleted since.
        """
        answer = await self.get(id)
        passages = [
            passage
            for passage in answer.passages
            if passage.number == number and document in (None, passage.document_id)
        ]
        if not passages:
            raise NotFound(f"The answer {id!r} had no passage {number}.", param="number")
        readable = next((passage for passage in passages if not passage.deleted), None)
        if readable is None:
            raise NotFound(f"The document of passage {number} was deleted, and its text with it.")
        return readable

    async def list_of_document(self, id: str, request: PageRequest) -> DocumentAnswerList:
        """List the answers whose prompts had passages of a document.

        Raises:
            NotFound: The tenant has no such document, and no answer from one that it had.
        """
        page = await self._uses.list_page(AnswerDocumentRow.document_id == id, **asdict(request))
        if not page.rows and id not in await self._documents.find_live(self._session, self._tenant, {id}):
            raise NotFound(
                f"No document with id {id!r} exists, nor an answer from it. The list of a store's documents has their "
                "ids.",
                param="document_id",
            )
        names = await self._answers.list_names([row.answer_id for row in page.rows])
        return DocumentAnswerList.of([_use_schema(row, names[row.answer_id]) for row in page.rows], page)

    async def _find_readable(self, documents: set[str]) -> set[str]:
        if not documents:
            return documents
        if await keeps_cited_text(self._session, self._tenant):
            return documents
        live: set[str] = set()
        for some in cut_slices(documents):
            live |= await self._documents.find_live(self._session, self._tenant, some)
        return live


def _read_counts(record: AnswerRecord, now: float) -> Counts:
    """Return whether a record's counts are known; a process that was killed left those unknown that are pending."""
    end = record.created + record.timings.total / 1000
    over = now > end + COUNT_SECONDS + _CLOCK_SECONDS
    return "unknown" if record.counts == "pending" and over else record.counts


def _use_schema(row: AnswerDocumentRow, answer: AnswerName) -> DocumentAnswer:
    return DocumentAnswer(
        answer_id=row.answer_id,
        created_at=row.created_at,
        model=answer.model,
        release=answer.release,
        fingerprint=answer.fingerprint,
        version=row.version,
        index_epoch=row.index_epoch,
        numbers=row.numbers,
        cited=row.cited,
    )
