"""The passages that serving shows for a conversation that isn't a request: a training row."""

from collections.abc import Sequence

from gateway.answering.question import Message, Question
from gateway.answering.release_searcher import ReleaseSearcher
from gateway.assistants.release import RetrievalSpec
from gateway.vector_stores.search import StoreStates
from retrieval.answer_probability import LEAST_PROBABILITY
from training.dataset import Message as RowMessage
from training.dataset import RowPassage

__all__ = ["RowPassages"]


class RowPassages:
    """Searches as a release does that says nothing but its stores and `top_k`; jobs that train have no release yet.

    It is `fine_tuning.row_preparation.RowPassageFinder`, which stands below and can't import what answers.
    """

    def __init__(self, searcher: ReleaseSearcher) -> None:
        self._searcher = searcher

    async def find(
        self, tenant: str, messages: Sequence[RowMessage], states: StoreStates, top_k: int
    ) -> list[RowPassage] | None:
        """Return the passages, the best first; None for small talk, which isn't searched for.

        Raises:
            Unavailable: The retriever doesn't answer.
        """
        spec = RetrievalSpec(tuple(states.index_epochs), top_k, when="auto", least_probability=LEAST_PROBABILITY)
        turns = [Message("system" if one.role == "developer" else one.role, one.text) for one in messages]
        evidence, texts = await self._searcher.find(tenant, Question("row", "", turns, {}), spec, states=states)
        if not texts:
            return None
        return [RowPassage(passage.title, passage.body) for passage in evidence.passages]
