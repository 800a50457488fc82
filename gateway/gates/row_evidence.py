"""The passages of held-out rows, found once and shown to every contestant; and the same with other values in them."""

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.answering.question import Question
from gateway.answering.release_searcher import ReleaseSearcher
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.gates.held_out_rows import HeldOutRow
from retrieval.messages import Passage
from training.dataset import RowPassage

__all__ = ["NOTHING", "RowEvidence", "rewrite_passages"]

NOTHING = Evidence("nothing_found")
"""What a search without a result shows the model."""


class RowEvidence:
    """Finds what the candidate would be shown: the row's own passages, or else what its release searches for."""

    def __init__(self, searcher: ReleaseSearcher, tenant: str, target: Target) -> None:
        self._searcher = searcher
        self._tenant = tenant
        self._target = target

    async def find(self, row: HeldOutRow) -> Evidence:
        """Find a row's passages, at the stores' present index epochs, which the evidence names.

        Raises:
            NotFound: A store is gone.
            Unavailable: The retriever doesn't answer.
        """
        spec = self._target.retrieval
        if spec is None:
            return NO_EVIDENCE
        if row.passages is not None:
            return _to_evidence(row.passages)
        question = Question("gate", self._target.engine_model, row.messages, {})
        evidence, _ = await self._searcher.find(self._tenant, question, spec)
        return evidence


def rewrite_passages(evidence: Evidence, texts: Sequence[str]) -> Evidence:
    """Put other texts in the place of the passages' bodies."""
    passages = tuple(replace(one, text=text, headline=0) for one, text in zip(evidence.passages, texts, strict=True))
    return replace(evidence, passages=passages, hits=())


def _to_evidence(passages: Sequence[RowPassage]) -> Evidence:
    if not passages:
        return NOTHING
    return Evidence("found", tuple(_to_passage(number, one) for number, one in enumerate(passages, 1)))


def _to_passage(number: int, passage: RowPassage) -> Passage:
    return Passage(
        id=str(number),
        store="",
        document=str(number),
        key=passage.title,
        version=1,
        file_id="",
        filename=passage.title,
        text=passage.text,
        start=0,
        end=len(passage.text),
        heading=passage.title,
        score=1.0,
        attributes={},
    )
