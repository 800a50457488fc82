"""Questions rewritten by the served engine, so that they can be searched for without the conversation around them."""

import re
import time
from collections.abc import Sequence
from typing import Literal

import msgspec
import structlog

from gateway.engines import EngineError, EnginePool
from gateway.engines.base_reply import ask_base
from gateway.engines.base_traits import BaseTraits
from gateway.metrics import Metrics
from retrieval.patience import Patience

__all__ = ["QuestionRewriter", "Rewriting", "clean_rewriting", "make_instruction"]

_log = structlog.get_logger()

_MOST_TOKENS = 64
"""Of a rewritten question."""
_RESERVED = 512
"""Tokens of the context for the rewritten question, the instruction and the chat template."""
_LONGEST_QUESTION = 1_000
"""Characters; a longer message says itself what it is about."""
_MOST_HISTORY = 4_000
"""Bytes of the conversation at most, which are at least as many as its tokens."""
_LONGEST_TURN = 600
"""Characters of one earlier message, its beginning."""
_LEAST_SHARE = 0.6
"""Of a rewritten question's words, those that the conversation has; with fewer the engine has invented a question."""
_STEM = 5

_FOLLOW_UP = (
    "Below are a conversation and the user's last question. Rewrite the last question so that it can be understood "
    "without the conversation: replace words such as 'it', 'they' or 'that' with what they stand for. Keep its meaning "
    "and its language. Answer with the rewritten question alone, in one line.\n\n"
    "Conversation:\n{history}\n\nLast question: {question}\n\nRewritten question:"
)
_QUERY = (
    "Rewrite this question as a short query for a search in documents: what it asks about, without greetings and "
    "courtesies. Keep names, numbers and the language. Answer with the query alone, in one line.\n\n"
    "Question: {question}\n\nQuery:"
)
_LABEL = re.compile(r"^(?:rewritten question|last question|question|query|answer)\s*:\s*", re.IGNORECASE)
_QUOTES = "\"'`*“”„«» "


class Rewriting(msgspec.Struct, frozen=True):
    """The text to search for, and how it came about.

    `outcome` is `rewritten`, or the reason why `text` is the question as it is: `unchanged` (the engine left it so),
    `unusable` (what the engine wrote isn't a question about this conversation), `too_long` (the question), `timed_out`,
    or `no_engine` (none is ready, or it failed).
    """

    text: str
    outcome: Literal["rewritten", "unchanged", "unusable", "too_long", "timed_out", "no_engine"]
    milliseconds: float


class QuestionRewriter:
    """Has the base model rewrite questions; whatever goes wrong, the plain question remains.

    Args:
        traits: Of the base, whose markers are broken in what it reads.
        seconds: The longest wait for one.
    """

    def __init__(self, pool: EnginePool, metrics: Metrics, traits: BaseTraits, *, seconds: float = 3.0) -> None:
        self._pool = pool
        self._metrics = metrics
        self._seconds = seconds
        self._traits = traits

    async def rewrite(self, tenant: str, question: str, history: Sequence[tuple[str, str]] = ()) -> Rewriting:
        """Rewrite a question with what was said before it: roles and texts, oldest first.

        Without history it becomes a query for a search.
        """
        start = time.perf_counter()
        if len(question) > _LONGEST_QUESTION:
            return Rewriting(question, "too_long", 0.0)
        text = question
        try:
            async with Patience(self._seconds):
                answer = await self._ask(tenant, question, history)
        except TimeoutError:
            outcome = "timed_out"
        except EngineError as error:
            _log.warning("question_not_rewritten", tenant=tenant, reason=error.detail)
            outcome = "no_engine"
        else:
            cleaned = clean_rewriting(answer, question, history)
            text = cleaned or question
            outcome = "unusable" if cleaned is None else "unchanged" if cleaned == question else "rewritten"
        return Rewriting(text, outcome, round((time.perf_counter() - start) * 1000, 3))

    async def _ask(self, tenant: str, question: str, history: Sequence[tuple[str, str]]) -> str:
        markers = self._traits.markers
        turns = [(role, markers.neutralise(text)) for role, text in history]
        content = make_instruction(markers.neutralise(question), turns, context=self._pool.max_model_len or 0)
        reply = await ask_base(self._pool, tenant, content, most_tokens=_MOST_TOKENS)
        self._metrics.prompt_tokens.add(reply.prompt_tokens)
        self._metrics.completion_tokens.add(reply.completion_tokens)
        return reply.text


def make_instruction(question: str, history: Sequence[tuple[str, str]], *, context: int) -> str:
    """Return what the engine is told, with as much of the history as fits into a context of so many tokens."""
    budget = min(_MOST_HISTORY, context - _RESERVED - len(question.encode()))
    if lines := _show_history(history, budget):
        return _FOLLOW_UP.format(history=lines, question=question)
    return _QUERY.format(question=question)


def clean_rewriting(answer: str, question: str, history: Sequence[tuple[str, str]]) -> str | None:
    """Return the question that an engine wrote, without labels and quotes; None where it isn't one to search for.

    It has to be made of the conversation's words, for the most part, and must have every number and name with a digit
    that the plain question has.
    """
    line = next((line for line in map(str.strip, answer.splitlines()) if line), "")
    text = _LABEL.sub("", line.strip(_QUOTES)).strip(_QUOTES)
    if not text or len(text) > _LONGEST_QUESTION:
        return None
    pieces = _list_pieces(text)
    conversation_pieces = _list_pieces(" ".join((question, *(text for _role, text in history))))
    if not pieces or len(pieces & conversation_pieces) < _LEAST_SHARE * len(pieces):
        return None
    numbers = {word for word in re.findall(r"\w+", question.lower()) if any(map(str.isdigit, word))}
    return text if numbers <= set(re.findall(r"\w+", text.lower())) else None


def _list_pieces(text: str) -> set[str]:
    """List the beginnings of a text's longer words; where words have no spaces between them, its characters."""
    words = re.findall(r"[^\W_]+", text.lower())
    unspaced = {character for word in words for character in word if character >= "\u3040"}
    return unspaced | {word[:_STEM] for word in words if len(word) > 2 and word < "\u3040"}


def _show_history(history: Sequence[tuple[str, str]], budget: int) -> str:
    """Return as many of the last messages as fit into `budget` bytes, oldest first, one per line."""
    lines: list[str] = []
    for role, text in reversed(history):
        line = f"{role.capitalize()}: {' '.join(text[:_LONGEST_TURN].split())}"
        budget -= len(line.encode()) + 1
        if budget < 0:
            break
        lines.append(line)
    return "\n".join(reversed(lines))
