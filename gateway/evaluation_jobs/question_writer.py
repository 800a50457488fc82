"""Questions that the served base model writes about passages, where nobody labelled any."""

from gateway.engines import EnginePool
from gateway.engines.base_reply import ask_base
from gateway.engines.base_traits import BaseTraits
from gateway.evaluation.written_questions import ask_for_question, clean_question
from retrieval.patience import Patience

__all__ = ["QuestionWriter"]

_MOST_TOKENS = 48
_SECONDS = 60.0


class QuestionWriter:
    """Asks the base model.

    Args:
        traits: Of the base, whose markers are broken in what it reads.
    """

    def __init__(self, pool: EnginePool, traits: BaseTraits) -> None:
        self._pool = pool
        self._traits = traits

    @property
    def model(self) -> str:
        """The base model's name, as the engines have it."""
        return self._pool.base_model or ""

    async def write(self, tenant: str, title: str, text: str) -> str | None:
        """Write a question that a passage answers; None where what came isn't one.

        Raises:
            EngineError: No engine is ready, or it failed.
            TimeoutError: It took a minute.
        """
        await self._traits.settle()
        markers = self._traits.markers
        content = ask_for_question(markers.neutralise(title), markers.neutralise(text))
        async with Patience(_SECONDS):
            reply = await ask_base(self._pool, tenant, content, most_tokens=_MOST_TOKENS)
        return clean_question(reply.text)
