"""Rows from documents, where a tenant has a style guide and a few examples and no conversations yet.

The served base model writes questions about passages, and replies to them in the style from what the search finds. Of
several replies the one with most of the style is kept, among those that state no value which their passages don't. An
adapter that learns from them learns the base model's idea of the style: only a gate says whether that was worth it. So
each row names its writer, and a release with such an adapter gets no traffic before its gate has passed.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.client import Client
from gateway.conversations.conversation import Conversation
from gateway.evaluation.copied_words import LearntTexts
from gateway.evaluation.learnt_rules import learn_rules
from gateway.evaluation.values import TextValues, find_values
from gateway.evaluation.voice_classifier import VoiceClassifier
from gateway.evaluation.written_questions import ask_for_question, clean_question
from gateway.task_group import await_each
from prompts import GENERIC
from training.dataset import Message, RowPassage

__all__ = [
    "LEAST_EXAMPLES",
    "REASONS",
    "RowWriter",
    "SourcePassage",
    "StyleScorer",
    "WrittenRows",
    "draw_passages",
    "find_fault",
]

REASONS = {
    "no_question": "passages about which no question was written",
    "same_question": "questions that say the same as an earlier one",
    "not_found": "questions whose passage the search doesn't find",
    "facts": "replies with values that their passages don't state",
    "copied": "replies that copy their passage",
    "style": "replies with too little of the style",
    "empty": "replies without a word",
}
"""The reasons for which something became no row, in words."""

LEAST_EXAMPLES = 4
"""Fewer replies than these say little of a voice."""

_SHORTEST_PASSAGE = 80
_LONGEST_COPY = 25  # words in a row
_SHOTS = 3
_AT_ONCE = 4
_MOST_TOKENS = 256
_TEMPERATURE = 0.9
_WORD = re.compile(r"\w+")
_SYSTEM = (
    "{guide}\n\nAnswer the user's question from the passages below alone, in the style of the example replies. State "
    "no number, price, date or name that isn't in them, and don't mention the passages."
)


@dataclass(frozen=True, slots=True)
class SourcePassage:
    """A passage of a document, by its file."""

    file_id: str
    filename: str
    text: str


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """The rows, the style score of each, and how many passages or replies became none, by a name of `REASONS`."""

    rows: Sequence[Conversation]
    scores: Sequence[float]
    refused: Counter[str]


class StyleScorer:
    """Scores the style of a text by the classifier that gates have, and by rules where examples are enough for some.

    Args:
        examples: Replies of the style, at least `LEAST_EXAMPLES`.
        others: Answers in no style to the same questions, such as the base model's.
    """

    def __init__(self, examples: Sequence[str], others: Sequence[str]) -> None:
        if min(len(examples), len(others)) < LEAST_EXAMPLES:
            raise ValueError(f"A style needs {LEAST_EXAMPLES} examples, and as many answers in no style.")
        self._voices = VoiceClassifier(examples, others)
        self._rules = learn_rules(examples, others)

    def score(self, text: str) -> float:
        """Return 0..1: the probability of the voice, and as much for the share of the rules that are kept."""
        voice = self._voices.score(text)
        return (voice + self._rules.score(text)) / 2 if self._rules.rules else voice


class RowWriter:
    """Writes rows with the model and the store of a running gateway.

    Args:
        client: Of the gateway.
        model: The base model's name.
        store_id: The vector store.
        guide: The style, in words.
        examples: Conversations in the style, see `StyleScorer`.
        best_of: The replies of which the best is kept.
        top_k: The passages of a row.
        least_style: The style score that a reply needs.
    """

    def __init__(
        self,
        client: Client,
        model: str,
        store_id: str,
        guide: str,
        examples: Sequence[Conversation],
        *,
        best_of: int = 4,
        top_k: int = 5,
        least_style: float = 0.5,
    ) -> None:
        self._client = client
        self._model = model
        self._store_id = store_id
        self._guide = guide
        self._examples = examples
        self._best_of = best_of
        self._top_k = top_k
        self._least_style = least_style
        self._refused: Counter[str] = Counter()
        self._rows: dict[int, tuple[str, list[RowPassage], str, float]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def write(self, count: int, seed: int, on_progress: Callable[[int], None]) -> None:
        """Write at most so many rows; fewer where the documents have no more passages. `collect` has them.

        Raises:
            ClientError: The gateway can't be reached, or refuses.
            ValueError: There are too few examples.
        """
        scorer = await self._learn_style()
        passages = draw_passages([one async for one in self._read_passages()], seed)
        wordings: set[str] = set()

        async def write_row(one: tuple[int, SourcePassage, str]) -> None:
            turn, passage, question = one
            row = await self._reply(passage, question, scorer)
            if row is not None:
                self._rows[turn] = row
                on_progress(len(self._rows))

        turn = 0
        while turn < len(passages) and len(self._rows) < count:
            some = passages[turn : turn + count - len(self._rows)]
            questions = await await_each(self._ask_question, some)
            fresh = [
                (number, passage, question)
                for number, (passage, question) in enumerate(zip(some, questions, strict=True), turn)
                if question is not None and self._is_fresh(question, wordings)
            ]
            turn += len(some)
            await await_each(write_row, fresh)

    def collect(self) -> WrittenRows:
        """Return what is written by now, in the order that the passages were drawn in."""
        rows: list[Conversation] = []
        scores: list[float] = []
        for _, (question, evidence, reply, score) in sorted(self._rows.items()):
            messages = [Message("user", question), Message("assistant", reply)]
            rows.append(Conversation(len(rows) + 1, messages, passages=evidence, written_by=self._model))
            scores.append(round(score, 4))
        return WrittenRows(rows, scores, self._refused)

    async def _learn_style(self) -> StyleScorer:
        """Tell the examples' voice from the model's own, on the same questions."""
        bare = [[_as_message(turn) for turn in one.messages[:-1]] for one in self._examples]
        plain = await await_each(lambda turns: self._complete(turns, temperature=0), bare)
        return StyleScorer([one.messages[-1].text for one in self._examples], [texts[0] for texts in plain])

    async def _read_passages(self) -> AsyncIterator[SourcePassage]:
        async for row in self._client.read_rows(f"/api/vector_stores/{self._store_id}/documents"):
            if row["status"] != "completed":
                continue
            path = f"/v1/vector_stores/{self._store_id}/files/{row['file_id']}/content"
            for part in (await self._client.get(path))["data"]:
                if len(part["text"]) >= _SHORTEST_PASSAGE:
                    yield SourcePassage(row["file_id"], row["filename"], part["text"])

    async def _ask_question(self, passage: SourcePassage) -> str | None:
        content = ask_for_question(GENERIC.neutralise(passage.filename), GENERIC.neutralise(passage.text))
        (answer,) = await self._complete([{"role": "user", "content": content}], temperature=0)
        question = clean_question(answer)
        if question is None:
            self._refused["no_question"] += 1
        return question

    def _is_fresh(self, question: str, wordings: set[str]) -> bool:
        words = " ".join(_WORD.findall(question.casefold()))
        if words in wordings:
            self._refused["same_question"] += 1
            return False
        wordings.add(words)
        return True

    async def _reply(
        self, passage: SourcePassage, question: str, scorer: StyleScorer
    ) -> tuple[str, list[RowPassage], str, float] | None:
        """Return question, passages, the best reply and its score; None where none will do."""
        body = {"query": question, "max_num_results": self._top_k}
        page = await self._client.post(f"/v1/vector_stores/{self._store_id}/search", body)
        evidence = [
            RowPassage(hit["filename"], "\n".join(part["text"] for part in hit["content"])) for hit in page["data"]
        ]
        if not any(hit.text == passage.text for hit in evidence):
            self._refused["not_found"] += 1
            return None
        replies = await self._complete(self._make_prompt(question, evidence), temperature=_TEMPERATURE, n=self._best_of)
        best, faults = None, Counter[str]()
        for reply in dict.fromkeys(text.strip() for text in replies):
            fault, score = find_fault(reply, question, evidence), scorer.score(reply)
            fault = fault or ("style" if score < self._least_style else None)
            if fault is not None:
                faults[fault] += 1
            elif best is None or score > best[1]:
                best = reply, score
        if best is None:
            self._refused[faults.most_common(1)[0][0]] += 1
            return None
        return question, evidence, *best

    def _make_prompt(self, question: str, evidence: Sequence[RowPassage]) -> list[dict[str, str]]:
        shots = [_as_message(turn) for one in self._examples[:_SHOTS] for turn in one.messages if turn.role != "system"]
        texts = "\n\n".join(f"## {GENERIC.neutralise(one.title)}\n{GENERIC.neutralise(one.text)}" for one in evidence)
        return [
            {"role": "system", "content": _SYSTEM.format(guide=self._guide.strip())},
            *shots,
            {"role": "user", "content": f"Passages:\n\n{texts}\n\nQuestion: {question}"},
        ]

    async def _complete(self, messages: Sequence[dict[str, str]], *, temperature: float, n: int = 1) -> list[str]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "temperature": temperature,
            "max_tokens": _MOST_TOKENS,
            "n": n,
        }
        async with self._places:
            answer = await self._client.post("/v1/chat/completions", body)
        return [choice["message"]["content"] or "" for choice in answer["choices"]]


def draw_passages(passages: Sequence[SourcePassage], seed: int) -> list[SourcePassage]:
    """Return passages in an order drawn by a seed, so that each document's turn comes as often as any other's."""
    rng = random.Random(seed)
    by_file: dict[str, list[SourcePassage]] = {}
    for passage in passages:
        by_file.setdefault(passage.file_id, []).append(passage)
    for some in by_file.values():
        rng.shuffle(some)
    files = sorted(by_file)
    rng.shuffle(files)
    longest = max((len(some) for some in by_file.values()), default=0)
    return [by_file[file][turn] for turn in range(longest) for file in files if turn < len(by_file[file])]


def find_fault(reply: str, question: str, passages: Sequence[RowPassage]) -> str | None:
    """Return why a reply can't be learnt, by a name of `REASONS`; None where it can."""
    if not reply.strip():
        return "empty"
    evidence = TextValues.of("\n".join([question, *(f"{one.title}\n{one.text}" for one in passages)]))
    if not all(evidence.states(value) for value in find_values(reply)):
        return "facts"
    if LearntTexts(one.text for one in passages).find_longest(reply).words > _LONGEST_COPY:
        return "copied"
    return None


def _as_message(turn: Message) -> dict[str, str]:
    return {"role": "system" if turn.role == "developer" else turn.role, "content": turn.text}
