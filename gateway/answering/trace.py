"""The trace of one answer: who asked, what it was made of, and when; its record in the end."""

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

import prompts
from gateway.answering.answer_text import AnswerText
from gateway.answering.citations import shows_marks
from gateway.answering.compose import NOT_COMPOSED, ComposedPrompt
from gateway.answering.engine_answer import TokenUsage
from gateway.answering.question import Question
from gateway.answering.ranking import RankedPassage
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.answers.record import (
    AnswerRecord,
    CitedPassage,
    SearchDecision,
    Timings,
    UncountedAnswer,
    digest_conversation,
)
from retrieval.messages import Passage

__all__ = ["AnswerTrace"]

_NO_TARGET = Target("")
_FIRST_EVENTS = 4096
_END = re.compile(rb'"finish_reason"\s*:\s*"')
_MARK_SIGN = re.compile(r"[\[【]")
_WIDE_SIGNS = ("【".encode(), b"\\u3010")


@dataclass(slots=True)
class AnswerTrace:
    """Facts and times of one answer, written as they become known.

    `started_at`, `retrieved_at`, `composed_at` and `first_byte_at` are seconds of `time.perf_counter`; `created` is
    Unix time. `key` is the id of the key that asked. The engine's events are noted for the case that it never comes to
    tell its usage. `withdrawn` are the documents that aren't cited whatever the answer says, and why not.
    """

    tenant: str
    question: Question
    created: int = field(default_factory=lambda: int(time.time()))
    started_at: float = field(default_factory=time.perf_counter)
    target: Target = _NO_TARGET
    evidence: Evidence = NO_EVIDENCE
    decision: SearchDecision | None = None
    prompt: ComposedPrompt = NOT_COMPOSED
    replica: str = ""
    cited: set[int] = field(default_factory=lambda: set())
    removed_links: int = 0
    usage: TokenUsage | None = None
    key: str = ""
    total_events: int = 0
    first_events: list[bytes] = field(default_factory=lambda: [])
    retrieved_at: float | None = None
    composed_at: float | None = None
    first_byte_at: float | None = None
    withdrawn: dict[str, Literal["deleted", "unchecked"]] = field(default_factory=lambda: {})
    _texts: list[AnswerText] = field(default_factory=lambda: [])
    _shows_marks: bool | None = None

    @property
    def id(self) -> str:
        return self.question.id

    def mark_retrieved(self) -> None:
        self.retrieved_at = time.perf_counter()

    def mark_composed(self) -> None:
        self.composed_at = time.perf_counter()

    def mark_first_byte(self) -> None:
        self.first_byte_at = time.perf_counter()

    def note_events(self, events: Sequence[bytes]) -> None:
        """Note events of the engine, and keep the first thousands: enough to count an answer's tokens by."""
        self.total_events += len(events)
        if len(self.first_events) < _FIRST_EVENTS:
            self.first_events += events

    @property
    def citable(self) -> bool:
        """Whether the answer may carry marks, which then have to be checked.

        Where no passage is in the prompt, an adapter that learnt to cite may write them all the same, also where it is
        asked by its own name. But a client that shows marks in its own messages numbers its own sources, and wants
        them. And what an adapter writes that never saw a prompt of ours (`{"label": [1]}`) is its rows' own form, no
        mark.
        """
        # Beside tools no marks are asked for, and every passage counts as cited; without passages a mark is learnt.
        if self.question.is_json or (self.question.structured and self.used_passages):
            return False
        if self.evidence.status == "off":
            target = self.target
            if target.adapter is None or (target.prompt is None and not target.knows_marks):
                return False
        return bool(self.used_passages) or not self._client_shows_marks()

    @property
    def checks_links(self) -> bool:
        """Whether links and images are let through only to addresses that were in the prompt.

        So it is wherever documents were searched, found or not, but in JSON, which a program reads, and where the
        release says `any`.
        """
        if self.evidence.status == "off" or self.question.is_json:
            return False
        return self.target.retrieval is None or self.target.retrieval.links != "any"

    @property
    def used_passages(self) -> Sequence[int]:
        """The numbers of the passages that were in the prompt."""
        return self.prompt.rendering.used_passages if self.prompt.rendering else ()

    def make_answer_text(self) -> AnswerText | None:
        """Return the way that one choice's text goes to the client; None where it goes as it is."""
        if not (self.citable or self.checks_links):
            return None
        passage_numbers = frozenset(self.used_passages) if self.citable else None
        text = AnswerText(passage_numbers, self._read_prompt if self.checks_links else None)
        self._texts.append(text)
        return text

    def make_thought_text(self) -> AnswerText | None:
        """Return the same for what the model thought, in which nothing is cited."""
        return AnswerText(None, self._read_prompt) if self.checks_links else None

    def _client_shows_marks(self) -> bool:
        """Tell whether a message has marks that isn't an earlier answer, which may have its marks from here."""
        if self._shows_marks is None:
            own = (message.content or "" for message in self.question.messages if message.role != "assistant")
            self._shows_marks = any(map(shows_marks, own))
        return self._shows_marks

    def _read_prompt(self) -> str:
        """Return all that the model was told: the template, passages and messages."""
        rendering = self.prompt.rendering
        messages = rendering.messages if rendering else msgspec.to_builtins(self.question.messages)
        texts = [message.get("content") or "" for message in messages]
        return "\n".join(
            [*texts, *(json.dumps(message["tool_calls"]) for message in messages if "tool_calls" in message)]
        )

    def cite(self, numbers: Iterable[int]) -> None:
        """Note what one choice cites; where no marks could be asked for, that is every passage in the prompt."""
        self.cited.update(self.used_passages if self.question.structured else numbers)

    def may_cite_at_end(self, events: Sequence[bytes]) -> bool:
        """Tell whether one of the engine's events ends a choice, and the answer cites something by then, or may."""
        if not self.used_passages or not any(map(_END.search, events)):
            return False
        if self.question.structured or any(text.may_cite for text in self._texts):
            return True
        # An end may bring the last of the text; each event has one bracket around its choices.
        return any(data.count(b"[") > 1 or any(sign in data for sign in _WIDE_SIGNS) for data in events)

    def may_cite(self, texts: Iterable[str]) -> bool:
        """Tell whether an answer of these texts cites something, or may."""
        return bool(self.used_passages) and (self.question.structured or any(map(_MARK_SIGN.search, texts)))

    def list_documents(self) -> set[str]:
        """List the ids of all documents that the answer may cite."""
        return {passage.document for number in self.used_passages for passage in self._list_behind(number)}

    def list_sources(self, number: int) -> Sequence[tuple[Passage, bool]]:
        """List the passage of a number, and those of other documents that say the same: each of those is a copy (True).

        What was withdrawn is left out.
        """
        behind = self._list_behind(number)
        return [(one, place > 0) for place, one in enumerate(behind) if one.document not in self.withdrawn]

    def _list_behind(self, number: int) -> Sequence[Passage]:
        hits = self.evidence.hits
        return (self.evidence.passages[number - 1], *(hits[number - 1].copies if hits else ()))

    def list_passages(self) -> list[CitedPassage]:
        """Return the passages that were in the prompt, each followed by its copies under the same number."""
        numbers = self.used_passages
        passages: list[CitedPassage] = []
        hits = self.evidence.hits or [RankedPassage(passage) for passage in self.evidence.passages]
        for number, one in enumerate(hits, 1):
            if number in numbers:
                passages.append(self._cite(number, one))
                passages += [self._cite(number, RankedPassage(copy), copy=True) for copy in one.copies]
        return passages

    def _cite(self, number: int, hit: RankedPassage, *, copy: bool = False) -> CitedPassage:
        passage = hit.passage
        return CitedPassage(
            number=number,
            cited=number in self.cited and passage.document not in self.withdrawn,
            withdrawn=self.withdrawn.get(passage.document, "") if number in self.cited else "",
            score=passage.score,
            vector_store_id=passage.store,
            document_id=passage.document,
            document_key=passage.key,
            version=passage.version,
            index_epoch=self.evidence.index_epochs[passage.store],
            file_id=passage.file_id,
            filename=passage.filename,
            heading=passage.title if passage.heading else "",
            page=passage.page,
            start=passage.start + passage.headline,
            end=passage.end,
            text=passage.body,
            copy=copy,
            boost=hit.boost,
            neighbours=hit.neighbours,
            lead=passage.lead,
            tail=passage.tail,
        )

    def record(self, outcome: str, now: float) -> AnswerRecord:
        """Return the answer's record, as it stands at the moment `now` of `time.perf_counter`."""
        rendering = self.prompt.rendering
        return AnswerRecord(
            id=self.id,
            request_id=self.question.request_id,
            created=self.created,
            key=self.key,
            model=self.question.model,
            release=self.target.release,
            fingerprint=self.target.fingerprint,
            index_epochs=self.evidence.index_epochs,
            retrieval=self.evidence.status,
            retrieval_problem=self.evidence.problem,
            rerank=self.evidence.rerank,
            passages=self.list_passages(),
            dropped_passages=rendering.dropped_passages if rendering else [],
            dropped_turns=rendering.dropped_turns if rendering else 0,
            prompt_tokens=_counted_parts(rendering),
            replica=self.replica,
            timings=Timings(
                None if self.retrieved_at is None else self._milliseconds(self.retrieved_at),
                self._milliseconds(self.composed_at or now),
                self._milliseconds(self.first_byte_at or now),
                self._milliseconds(now),
            ),
            usage=None if self.usage is None else msgspec.to_builtins(self.usage),
            outcome=outcome,
            stream=self.question.stream,
            filters=self.question.options.filters if self.question.options else None,
            search=self.decision,
            answer_probability=self.evidence.probability,
            calibrations=self.evidence.calibrations,
            messages_digest=digest_conversation((one.role, one.content or "") for one in self.question.messages),
        )

    def list_uncounted_segments(self) -> Sequence[prompts.Segment]:
        """Return the prompt's segments that are still to be counted by part; none where the record has the counts."""
        return self.prompt.segments if _counted_parts(self.prompt.rendering) is None else ()

    def find_uncounted_answer(self) -> UncountedAnswer | None:
        """Return what the usage can be counted from; None where the engine told it, or was never asked."""
        if self.usage is not None or not self.replica:
            return None
        return UncountedAnswer(self.prompt.body, tuple(self.first_events), self.total_events)

    def _milliseconds(self, moment: float) -> float:
        return round((moment - self.started_at) * 1_000_000) / 1000


def _counted_parts(rendering: prompts.Rendering | None) -> dict[str, int] | None:
    """Return the tokens by part, where they were counted to find out what has to be dropped."""
    if rendering is None or not (rendering.dropped_turns or rendering.dropped_passages):
        return None
    return {str(part): count for part, count in rendering.parts.items()}
