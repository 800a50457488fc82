"""The decision on whether a turn is searched for, and for what."""

import time
from collections.abc import Sequence

from gateway.answering.question import Message, Question
from gateway.answering.turn import Turn, TurnClassifier, list_earlier
from gateway.answers.record import SearchDecision
from gateway.assistants.release import RetrievalSpec
from gateway.vector_stores.question_rewriter import QuestionRewriter

__all__ = ["SearchDecider"]


class SearchDecider:
    """Tells small talk and follow-ups from questions of their own, and has follow-ups rewritten.

    Args:
        classifier: Tells the kind of a turn.
        rewriter: Asks the engine, and falls back to the plain question.
    """

    def __init__(self, classifier: TurnClassifier, rewriter: QuestionRewriter) -> None:
        self._classifier = classifier
        self._rewriter = rewriter

    async def decide(self, tenant: str, question: Question, spec: RetrievalSpec) -> SearchDecision:
        """Decide as the release says; a rewritten question is searched for beside the plain one."""
        start = time.perf_counter()
        text, earlier = question.text, list_earlier(question.messages)
        turn = self._classifier.classify(text, earlier)
        decision_ms = _milliseconds(start)
        if turn.kind == "small_talk" and spec.when == "auto":
            return _make_decision(turn, decision_ms, "not_needed" if spec.rewrite else "off", [])
        if not spec.rewrite:
            return _make_decision(turn, decision_ms, "off", [text])
        if not earlier or (spec.rewrite == "auto" and turn.kind != "follow_up"):
            return _make_decision(turn, decision_ms, "not_needed", [text])
        rewriting = await self._rewriter.rewrite(tenant, text, _list_history(earlier))
        queries = [text] if rewriting.text == text else [rewriting.text, text]
        return _make_decision(turn, decision_ms, rewriting.outcome, queries, rewriting.milliseconds)


def _make_decision(
    turn: Turn, decision_ms: float, rewriting: str, queries: list[str], rewriting_ms: float | None = None
) -> SearchDecision:
    return SearchDecision(
        kind=turn.kind,
        rule=turn.rule,
        searched=bool(queries),
        rewriting=rewriting,
        queries=queries,
        decision_ms=decision_ms,
        rewriting_ms=rewriting_ms,
    )


def _list_history(earlier: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.content or "") for message in earlier]


def _milliseconds(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 3)
