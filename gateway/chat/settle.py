"""One answer's account: who asked, what it was made of, how it ended. Settled once, also when the client left."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.answers.log import AnswerLog
from gateway.answers.record import AnswerRecord, CitedPassage, Timings
from gateway.chat.citations import Citation, MarkFilter
from gateway.chat.compose import Composed
from gateway.chat.evidence import NO_EVIDENCE, Evidence, title_of
from gateway.chat.target import Target
from gateway.ids import new_id
from gateway.metrics import Metrics

__all__ = ["Account"]

_NO_TARGET = Target("")
_NOT_COMPOSED = Composed(b"", None)


@dataclass(slots=True)
class Account:
    """Collects an answer's facts on its way, and says them: as citations, as the object `braid`, as the record."""

    tenant: str
    model: str
    stream: bool
    structured: bool
    id: str = field(default_factory=lambda: new_id("chatcmpl-"))
    created: int = field(default_factory=lambda: int(time.time()))
    started: float = field(default_factory=time.perf_counter)
    target: Target = _NO_TARGET
    evidence: Evidence = NO_EVIDENCE
    composed: Composed = _NOT_COMPOSED
    replica: str = ""
    cited: set[int] = field(default_factory=set[int])
    usage: dict[str, Any] | None = None
    _marks: list[float | None] = field(default_factory=lambda: [None, None, None])

    def retrieved(self) -> None:
        self._marks[0] = time.perf_counter()

    def ready(self) -> None:
        self._marks[1] = time.perf_counter()

    def answered(self) -> None:
        """Note the engine's first byte."""
        self._marks[2] = time.perf_counter()

    def constant(self) -> dict[str, Any]:
        """Return what stands in the answer, and in every event of its stream."""
        return {
            "id": self.id,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.target.fingerprint,
        }

    def headers(self) -> dict[str, str]:
        """Return the answer's own headers."""
        if self.target.release is None or self.target.fingerprint is None:
            return {"x-request-id": self.id}
        return {"x-request-id": self.id, "braid-release": f"{self.target.release}; {self.target.fingerprint}"}

    @property
    def citable(self) -> bool:
        """Whether the answer may carry marks, which then have to be checked."""
        return self.evidence.status != "off" and not self.structured

    def marks(self) -> MarkFilter:
        """Return the filter of one choice's marks."""
        return MarkFilter(frozenset(self._used()))

    def closing(self, marks: MarkFilter | None) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Return one choice's annotations and the object `braid` as it is with that choice."""
        citations = marks.citations if marks else []
        if self.structured:
            self.cited.update(self._used())
        self.cited.update(citation.number for citation in citations)
        return [self._annotation(citation) for citation in citations], self.braid()

    def braid(self) -> dict[str, Any] | None:
        """Return the answer's one extra object; None where no release and no switch was in play."""
        if self.target.release is None and self.evidence.status == "off":
            return None
        rendered = self.composed.rendered
        return {
            "release": self.target.release,
            "retrieval": self.evidence.status,
            "epochs": self.evidence.epochs,
            "citations": [self._source(passage) for passage in self._passages() if passage.cited],
            "dropped": {
                "passages": len(rendered.dropped_passages) if rendered else 0,
                "turns": rendered.dropped_turns if rendered else 0,
            },
        }

    def settle(self, outcome: str, log: AnswerLog, metrics: Metrics) -> None:
        """Write the account down."""
        now = time.perf_counter()
        metrics.ended(outcome)
        metrics.seconds.observe(now - self.started)
        if self.usage is not None:
            metrics.prompt_tokens.inc(self.usage.get("prompt_tokens") or 0)
            metrics.completion_tokens.inc(self.usage.get("completion_tokens") or 0)
        retrieved, composed, first = self._marks
        if retrieved is not None:
            metrics.retrieval.observe(retrieved - self.started)
        if first is not None:
            metrics.first_byte.observe(first - self.started)
        log.put(self.tenant, self._record(outcome, retrieved, composed or now, first or now, now), self._counted())

    def _record(self, outcome: str, retrieved: float | None, composed: float, first: float, now: float) -> AnswerRecord:
        rendered = self.composed.rendered

        def since(moment: float) -> float:
            return round((moment - self.started) * 1000, 3)

        return AnswerRecord(
            id=self.id,
            created=self.created,
            model=self.model,
            release=self.target.release,
            fingerprint=self.target.fingerprint,
            epochs=self.evidence.epochs,
            retrieval=self.evidence.status,
            passages=self._passages(),
            dropped_passages=rendered.dropped_passages if rendered else [],
            dropped_turns=rendered.dropped_turns if rendered else 0,
            prompt_tokens={str(part): n for part, n in rendered.parts.items()}
            if rendered and self._dropped()
            else None,
            replica=self.replica,
            timings=Timings(None if retrieved is None else since(retrieved), since(composed), since(first), since(now)),
            usage=self.usage,
            outcome=outcome,
            stream=self.stream,
        )

    def _counted(self) -> Sequence[Any]:
        """Return the prompt's segments, to be counted by part; where some were dropped, all were counted before."""
        return () if self._dropped() else self.composed.segments

    def _dropped(self) -> bool:
        rendered = self.composed.rendered
        return rendered is not None and bool(rendered.dropped_turns or rendered.dropped_passages)

    def _used(self) -> list[int]:
        rendered = self.composed.rendered
        return rendered.used_passages if rendered else []

    def _passages(self) -> list[CitedPassage]:
        used = set(self._used())
        return [
            CitedPassage(
                number=number,
                cited=number in self.cited,
                score=passage.score,
                vector_store_id=passage.store,
                document_id=passage.document,
                document_key=passage.key,
                version=passage.version,
                epoch=self.evidence.epochs[passage.store],
                file_id=passage.file_id,
                filename=passage.filename,
                heading=passage.heading,
                start=passage.start,
                end=passage.end,
                text=passage.text,
            )
            for number, passage in enumerate(self.evidence.passages, 1)
            if number in used
        ]

    def _annotation(self, citation: Citation) -> dict[str, Any]:
        passage = self.evidence.passages[citation.number - 1]
        return {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.start,
                "end_index": citation.end,
                "url": self._url(citation.number),
                "title": passage.filename or title_of(passage),
            },
        }

    def _source(self, passage: CitedPassage) -> dict[str, Any]:
        source = msgspec.to_builtins(passage)
        for name in ("text", "cited"):
            del source[name]
        return {**source, "url": self._url(passage.number)}

    def _url(self, number: int) -> str:
        return f"/api/answers/{self.id}/citations/{number}"
