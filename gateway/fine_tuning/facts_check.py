"""The facts of rows, looked up in a tenant's stores."""

from gateway.artifacts import Artifacts
from gateway.conversations.conversation import Conversation
from gateway.conversations.facts_lint import FactsLint
from gateway.conversations.findings import RowFact
from gateway.db import Database
from gateway.fine_tuning.facts_check_schemas import FactsCheck, FactsCheckCreate, FactsCheckRow, RowFactObject
from gateway.fine_tuning.learnt_facts import open_store_facts
from gateway.task_group import await_each
from retrieval.client import Retriever
from training.dataset import Message, RowPassage

__all__ = ["FactsCheckService"]

_AT_ONCE = 4  # of a retriever that others ask too


class FactsCheckService:
    """Checks rows of one tenant; nothing of them is kept."""

    def __init__(self, database: Database, retriever: Retriever, artifacts: Artifacts, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._artifacts = artifacts
        self._tenant = tenant

    async def check(self, request: FactsCheckCreate) -> FactsCheck:
        """Say of each value in the rows' replies where it stands.

        Raises:
            NotFound: The tenant has no such store.
            StoreExpired: A store has expired.
            Unavailable: The retriever can't answer now.
        """
        parts = (self._database, self._retriever, self._artifacts, self._tenant)
        lint = FactsLint(await open_store_facts(*parts, request.vector_stores))
        conversations = [_to_conversation(number, row) for number, row in enumerate(request.rows, 1)]
        rows = await await_each(lint.classify, conversations, at_once=_AT_ONCE)
        return FactsCheck(data=[_to_schema(fact) for facts in rows for fact in facts], unread_documents=lint.unread)


def _to_conversation(number: int, row: FactsCheckRow) -> Conversation:
    messages = [Message(one.role, one.content, weight=one.weight) for one in row.messages]
    return Conversation(number, messages, passages=[RowPassage(one.title, one.text) for one in row.passages])


def _to_schema(fact: RowFact) -> RowFactObject:
    return RowFactObject(
        row=fact.row,
        kind=fact.kind,
        text=fact.text,
        readings=list(fact.readings),
        place=fact.place,
        vector_store_id=fact.store or None,
        document_id=fact.document or None,
        document_key=fact.key or None,
        version=fact.version or None,
        stated_version=fact.stated or None,
        title=fact.title if fact.document else None,
        passage=fact.passage or None,
        deleted_at=fact.deleted_at or None,
    )
