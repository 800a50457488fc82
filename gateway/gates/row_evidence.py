"""The passages of held-out rows, found once and shown to every contestant; and the same with other values in them."""

import asyncio
import dataclasses
import time
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from gateway.answering.question import Question
from gateway.answering.release_searcher import ReleaseSearcher
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.gates.held_out_rows import HeldOutRow
from gateway.vector_stores.indexing import REPLAY_SECONDS
from gateway.vector_stores.search import StoreStates
from retrieval.messages import Passage
from training.dataset import RowPassage

__all__ = ["NOTHING", "RowEvidence", "StoreEpochs", "rewrite_passages"]

NOTHING = Evidence("nothing_found")
"""The evidence that a search without a result shows the model."""


class StoreEpochs(msgspec.Struct, frozen=True):
    """The index epochs at which all rows are searched, by store, and when they were read, in Unix seconds."""

    read_at: int
    index_epochs: dict[str, int]


class RowEvidence:
    """Finds what the candidate would be shown: the row's own passages, or else what its release searches for.

    All rows see the stores as they were at the first search, or at `freeze`: a document that is changed in between
    would have some rows judged by its old text and some by its new one.
    """

    def __init__(self, searcher: ReleaseSearcher, tenant: str, target: Target) -> None:
        self._searcher = searcher
        self._tenant = tenant
        self._target = target
        self._states: StoreStates | None = None
        self._lock = asyncio.Lock()

    async def freeze(self, before: StoreEpochs | None = None) -> StoreEpochs:
        """Read the stores once for all rows, and return their index epochs.

        Args:
            before: Those of an earlier run, which this one goes on at as long as the index is sure to have them. What
                was deleted since stays deleted.

        Raises:
            NotFound: A store is gone.
        """
        now = int(time.time())
        before = before if before is not None and before.read_at > now - REPLAY_SECONDS else None
        async with self._lock:
            states = await self._read_states()
            if before is not None:
                states = dataclasses.replace(states, index_epochs=states.index_epochs | before.index_epochs)
            self._states = states
        return before or StoreEpochs(now, states.index_epochs)

    async def find(self, row: HeldOutRow) -> Evidence:
        """Find a row's passages, at the index epochs of all, which the evidence names.

        Raises:
            NotFound: A store is gone.
            Unavailable: The retriever doesn't answer.
        """
        spec = self._target.retrieval
        if spec is None:
            return NO_EVIDENCE
        if row.passages is not None:
            return _to_evidence(row.passages)
        async with self._lock:
            self._states = states = self._states or await self._read_states()
        question = Question("gate", self._target.engine_model, row.messages, {})
        evidence, _ = await self._searcher.find(self._tenant, question, spec, states=states)
        return evidence

    async def _read_states(self) -> StoreStates:
        spec = self._target.retrieval
        return StoreStates({}) if spec is None else await self._searcher.read_states(self._tenant, spec)


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
