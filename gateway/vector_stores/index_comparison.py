"""The same questions, labelled, asked before or made from its documents, to both indexes of a store."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from gateway.db import Database
from gateway.errors import Conflict
from gateway.evaluation.estimate import estimate_mean_difference
from gateway.evaluation.labels import LabelledQuestion
from gateway.evaluation.retrieval_run import Hit, QuestionResult, SearchHits, score_run, search_questions
from gateway.vector_stores.heading_questions import make_questions
from gateway.vector_stores.index_migration_schemas import IndexMigrationEvaluation
from gateway.vector_stores.past_questions import find_past_questions
from gateway.vector_stores.retriever_errors import explain_retriever_errors
from gateway.vector_stores.search import read_states, search
from gateway.vector_stores.tables import StoreRow
from retrieval.client import Retriever

__all__ = ["compare_indexes"]

_MOST_PASSAGES = 50
_ENOUGH = 30
"""Questions that were asked; of fewer, an interval says little."""


async def compare_indexes(
    database: Database,
    retriever: Retriever,
    store: StoreRow,
    indexes: tuple[str, str],
    questions: Sequence[tuple[str, Sequence[str]]] | None,
) -> IndexMigrationEvaluation:
    """Search in both indexes, and score what is found by the keys of the documents that answer.

    Args:
        database: For the store's content at each search.
        retriever: Reaches the retrievers of both indexes.
        store: Of any tenant; both indexes have it.
        indexes: The identities of source and target.
        questions: Each with the keys of the documents that answer it; None takes those that were asked, and others
            made from the store's documents where those are few.

    Raises:
        Conflict: None could be made.
        Unavailable: One of the indexes can't be asked now.
    """
    past: list[tuple[str, list[str]]] = []
    generated = False
    if questions is None:
        past = questions = await find_past_questions(database, store)
        generated = len(past) < _ENOUGH
    if generated:
        async with database.read() as session:
            states = await read_states(session, store.tenant_id, [store.id], expired_too=True)
        states = replace(states, indexes=[store.index_identity or ""])
        with explain_retriever_errors([store.id]):
            questions = [*past, *await make_questions(database, retriever, store, states)]
    if not questions:
        raise Conflict("The store has no text to make questions from. Give labelled ones.", code="no_questions")
    labels = [
        LabelledQuestion(str(number), text, dict.fromkeys(documents, 1))
        for number, (text, documents) in enumerate(questions)
    ]
    source, target = [await _search(database, retriever, store, index, labels) for index in indexes]
    change = estimate_mean_difference(_list(target, "ndcg@10"), _list(source, "ndcg@10"))
    return IndexMigrationEvaluation(
        vector_store_id=store.id,
        questions=len(labels),
        past_questions=len(past),
        generated=generated,
        ndcg_source=_mean(source, "ndcg@10"),
        ndcg_target=_mean(target, "ndcg@10"),
        recall_source=_mean(source, "recall@5"),
        recall_target=_mean(target, "recall@5"),
        difference=change.value,
        low=change.low,
        high=change.high,
        worse=change.high < 0,
    )


async def _search(
    database: Database, retriever: Retriever, store: StoreRow, index: str, labels: Sequence[LabelledQuestion]
) -> list[QuestionResult]:
    async def ask(text: str) -> SearchHits:
        async with database.read() as session:
            states = await read_states(session, store.tenant_id, [store.id], expired_too=True)
        states = replace(states, indexes=[index])
        passages = await search(database, retriever, store.tenant_id, states, [text], limit=_MOST_PASSAGES)
        return SearchHits([Hit(passage.key, passage.score) for passage in passages])

    run = await search_questions(labels, ask)
    return await asyncio.to_thread(score_run, labels, run)


def _list(results: Sequence[QuestionResult], metric: str) -> list[float]:
    return [result.metrics[metric] for result in results]


def _mean(results: Sequence[QuestionResult], metric: str) -> float:
    values = _list(results, metric)
    return sum(values) / len(values)
