"""Questions that a store's own users asked, with the documents that their answers cited.

What was cited was found by the index of that time. So these questions show what another index loses of it, and never
what it finds that this one didn't.
"""

from gateway.answers.record import AnswerRecord
from gateway.answers.service import list_citing_records
from gateway.db import Database
from gateway.vector_stores.repository import DocumentRepository
from gateway.vector_stores.tables import StoreRow

__all__ = ["find_past_questions"]

_QUESTIONS = 100
_RECORDS_AT_ONCE = 100
_MOST_RECORDS = 2_000


async def find_past_questions(database: Database, store: StoreRow) -> list[tuple[str, list[str]]]:
    """Find at most a hundred questions, each once, the newest first, with the keys of the documents that were cited.

    They are the texts that were searched for, and only documents that are still there count. The records of answers
    say both, so there are none where records are kept for a short time only.
    """
    async with database.read() as session:
        keys = dict(await DocumentRepository(session, store.tenant_id).list_live_keys(store.id))
    questions: dict[str, list[str]] = {}
    after: str | None = None
    for _ in range(_MOST_RECORDS // _RECORDS_AT_ONCE):
        async with database.read() as session:
            records = await list_citing_records(session, store.tenant_id, _RECORDS_AT_ONCE, after)
        for record in records:
            text = _text_of(record)
            ids = (one.document_id for one in record.passages if one.cited and one.vector_store_id == store.id)
            documents = sorted({keys[id] for id in ids if id in keys})
            if text and documents and len(questions) < _QUESTIONS:
                questions.setdefault(text, documents)
        if len(records) < _RECORDS_AT_ONCE or len(questions) == _QUESTIONS:
            break
        after = records[-1].id
    return list(questions.items())


def _text_of(record: AnswerRecord) -> str:
    """Return what was searched for; of a follow-up that the engine rewrote, that."""
    return record.search.queries[-1] if record.search is not None and record.search.queries else ""
