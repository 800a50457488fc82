"""Which texts are searched for, by the turn's kind and what the release says of small talk and of rewriting."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from gateway.answering.question import Message, Question
from gateway.answering.search_decision import SearchDecider
from gateway.answering.turn import load_turn_classifier
from gateway.assistants.release import RetrievalSpec
from gateway.vector_stores.question_rewriter import QuestionRewriter, Rewriting

EARLIER = [Message("user", "How long is the warranty of the K2?"), Message("assistant", "31 months [1].")]
TALK, FOLLOW_UP, WHOLE = "Thanks a lot!", "Can I extend it?", "How do I descale the K2?"
REWRITTEN = "Can I extend the warranty of the K2?"


class Writer:
    """Rewrites whatever it is asked for to one text, and notes what it was asked with."""

    def __init__(self, text: str, outcome: Any) -> None:
        self.rewriting = Rewriting(text, outcome, 1.5)
        self.asked: list[tuple[str, str, Sequence[tuple[str, str]]]] = []

    async def rewrite(self, tenant: str, question: str, history: Sequence[tuple[str, str]] = ()) -> Rewriting:
        self.asked.append((tenant, question, history))
        return self.rewriting


async def decide(
    text: str,
    *,
    earlier: Sequence[Message] = EARLIER,
    text_of: str = REWRITTEN,
    outcome: str = "rewritten",
    **spec: Any,
) -> tuple[str, list[str], Writer]:
    writer = Writer(text_of, outcome)
    decider = SearchDecider(load_turn_classifier(), cast(QuestionRewriter, writer))
    question = Question("answer-1", "support", [*earlier, Message("user", text)], {})
    decision = await decider.decide("kestrel", question, RetrievalSpec(("vs",), **spec))
    assert decision.searched == bool(decision.queries)
    assert (decision.rewriting_ms == 1.5) == bool(writer.asked)
    return decision.rewriting, decision.queries, writer


@pytest.mark.parametrize(
    ("text", "spec", "rewriting", "queries"),
    [
        (TALK, {"when": "auto"}, "off", []),
        (TALK, {"when": "auto", "rewrite": "auto"}, "not_needed", []),
        (TALK, {"when": "auto", "rewrite": "always"}, "not_needed", []),
        (TALK, {}, "off", [TALK]),
        (TALK, {"when": "always", "rewrite": "auto"}, "not_needed", [TALK]),
        (TALK, {"rewrite": "always"}, "rewritten", [REWRITTEN, TALK]),
        (FOLLOW_UP, {"when": "auto"}, "off", [FOLLOW_UP]),
        (FOLLOW_UP, {"rewrite": "auto"}, "rewritten", [REWRITTEN, FOLLOW_UP]),
        (FOLLOW_UP, {"rewrite": "always"}, "rewritten", [REWRITTEN, FOLLOW_UP]),
        (WHOLE, {"rewrite": "auto"}, "not_needed", [WHOLE]),
        (WHOLE, {"rewrite": "always"}, "rewritten", [REWRITTEN, WHOLE]),
    ],
)
async def test_a_turn_is_searched_for_as_the_release_says(
    text: str, spec: dict[str, Any], rewriting: str, queries: list[str]
) -> None:
    assert (await decide(text, **spec))[:2] == (rewriting, queries)


async def test_a_first_question_has_nothing_to_be_rewritten_by() -> None:
    assert (await decide(FOLLOW_UP, earlier=[], rewrite="always"))[:2] == ("not_needed", [FOLLOW_UP])
    instructed = [Message("system", "Be brief.")]
    assert (await decide(FOLLOW_UP, earlier=instructed, rewrite="always"))[:2] == ("not_needed", [FOLLOW_UP])


@pytest.mark.parametrize("outcome", ["unchanged", "unusable", "timed_out", "no_engine"])
async def test_what_stays_as_it_was_is_searched_for_once(outcome: str) -> None:
    rewriting, queries, _ = await decide(FOLLOW_UP, text_of=FOLLOW_UP, outcome=outcome, rewrite="auto")
    assert (rewriting, queries) == (outcome, [FOLLOW_UP])


async def test_it_is_rewritten_with_what_was_said_before() -> None:
    called = [*EARLIER, Message("assistant", None, tool_calls=[{}]), Message("tool", "31", tool_call_id="call_1")]
    _, _, writer = await decide(FOLLOW_UP, earlier=called, rewrite="auto")
    said = [("user", "How long is the warranty of the K2?"), ("assistant", "31 months [1].")]
    assert writer.asked == [("kestrel", FOLLOW_UP, said)]
