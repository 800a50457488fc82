"""The facts of a file's rows, looked up in a store of a running gateway, in requests of bounded size."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.client import Client
from gateway.conversations.conversation import Conversation
from gateway.conversations.findings import RowFact
from training.dataset import Message, RowPassage

__all__ = ["add_passages", "look_up_facts"]

_ROWS, _BYTES = 20, 500_000
"""Of a request: the gateway takes 50 rows, and 1 MiB."""


async def look_up_facts(
    client: Client, store_id: str, conversations: Sequence[Conversation], on_progress: Callable[[int], None]
) -> tuple[list[RowFact], int]:
    """Return the facts of all rows by their own numbers, and how many deleted documents couldn't be looked into.

    Raises:
        ClientError: The gateway can't be reached, or refuses.
    """
    facts: list[RowFact] = []
    count = unread = 0
    for rows in _batch(conversations):
        body = {"vector_stores": [store_id], "rows": [_to_row(one) for one in rows]}
        answer = await client.post("/api/styles/facts", body)
        values: list[dict[str, Any]] = answer["data"]
        facts += [_to_fact(one, rows[int(one["row"]) - 1].number) for one in values]
        unread = max(unread, answer["unread_documents"])
        count += len(rows)
        on_progress(count)
    return facts, unread


def add_passages(conversation: Conversation, facts: Sequence[RowFact]) -> Conversation:
    """Return a row with the passages that state what its reply says, behind those that it has already."""
    passages = list(conversation.passages or ())
    for fact in facts:
        passage = RowPassage(fact.title, fact.passage)
        if fact.place == "index" and passage not in passages:
            passages.append(passage)
    return msgspec.structs.replace(conversation, passages=passages or conversation.passages)


def _batch(conversations: Sequence[Conversation]) -> Iterator[list[Conversation]]:
    batch: list[Conversation] = []
    size = 0
    for one in conversations:
        own = len(msgspec.json.encode(_to_row(one)))
        if batch and (len(batch) == _ROWS or size + own > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += own
    if batch:
        yield batch


def _to_row(conversation: Conversation) -> dict[str, Any]:
    passages = [{"title": one.title, "text": one.text} for one in conversation.passages or ()]
    return {"messages": [_to_message(one) for one in conversation.messages if one.text], "passages": passages}


def _to_message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.text, "weight": message.weight}


def _to_fact(fact: dict[str, Any], row: int) -> RowFact:
    return RowFact(
        row=row,
        kind=fact["kind"],
        text=fact["text"],
        readings=tuple(fact["readings"]),
        place=fact["place"],
        store=fact["vector_store_id"] or "",
        document=fact["document_id"] or "",
        key=fact["document_key"] or "",
        version=fact["version"] or 0,
        stated=fact["stated_version"] or 0,
        title=fact["title"] or "",
        passage=fact["passage"] or "",
        deleted_at=fact["deleted_at"] or 0,
    )
