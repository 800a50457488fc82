"""The grades of one answer by an eval's criteria."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.errors import BAD_JSON
from gateway.evals.criteria import (
    EvalMessage,
    LabelModelGrader,
    ScoreModelGrader,
    StringCheckGrader,
    TextSimilarityGrader,
    text_of,
)
from gateway.evals.data_sources import DEFAULT_SEED
from gateway.evals.item_answers import AnswerUsage, Asker, ItemFailed
from gateway.evals.similarity import MEASURES, compute_cosine
from gateway.evals.templates import UnknownPlace, render

__all__ = ["Embed", "Grade", "Grader"]

Embed = Callable[[Sequence[str]], Awaitable[Sequence[bytes]]]
"""Returns the vectors of texts, each as 32-bit floats; raises `ItemFailed` where a text can't have one."""

_MOST_COMPARED = 100_000
_GRADE_TOKENS = 2048
_STRING_CHECKS: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}


class Grade(msgspec.Struct, frozen=True):
    """One criterion's result, as OpenAI's output items have it.

    `sample` is the answer of a grader's model, or the `error` for which there is no score.
    """

    name: str
    type: str
    passed: bool
    score: float
    sample: dict[str, Any] | UnsetType = UNSET

    @property
    def failed(self) -> bool:
        """Whether there is no score."""
        return self.sample is not UNSET and "error" in self.sample


class Grader:
    """Grades answers; models and the embedder are asked as often as criteria need them.

    Args:
        criteria: As `criteria.CRITERIA` reads them.
        asker: Asks grading models.
        embed: Makes vectors of texts.
    """

    def __init__(self, criteria: Sequence[Any], asker: Asker, embed: Embed) -> None:
        self.criteria = criteria
        self._asker = asker
        self._embed = embed

    async def grade(self, values: Mapping[str, Any], count: Callable[[str, AnswerUsage], None]) -> list[Grade]:
        """Return a grade by each criterion; one that can't be given is an error in it and stops no other.

        Args:
            values: The row and its answer, `item` and `sample`.
            count: Told of each answer of a grading model: its name, and the tokens.

        Raises:
            JobFailed: A grading model doesn't exist.
            JobDelayed: A part that grading needs is away.
        """
        return [await self._try(criterion, values, count) for criterion in self.criteria]

    async def _try(self, criterion: Any, values: Mapping[str, Any], count: Callable[[str, AnswerUsage], None]) -> Grade:
        try:
            match criterion:
                case StringCheckGrader():
                    return _check_string(criterion, values)
                case TextSimilarityGrader():
                    return await self._compare(criterion, values)
                case LabelModelGrader():
                    return await self._label(criterion, values, count)
                case _:
                    return await self._score(criterion, values, count)
        except UnknownPlace as error:
            failure = ItemFailed("unknown_place", str(error))
        except ItemFailed as error:
            failure = error
        return Grade(criterion.name, criterion.type, False, 0.0, {"error": failure.describe()})

    async def _compare(self, criterion: TextSimilarityGrader, values: Mapping[str, Any]) -> Grade:
        text, reference = render(criterion.input, values), render(criterion.reference, values)
        if max(len(text), len(reference)) > _MOST_COMPARED:
            raise ItemFailed("text_too_long", f"Texts of more than {_MOST_COMPARED:,} characters aren't compared.")
        if criterion.evaluation_metric != "cosine":
            score = await asyncio.to_thread(MEASURES[criterion.evaluation_metric], text, reference)
        elif text.strip() and reference.strip():
            one, other = await self._embed([text, reference])
            score = compute_cosine(one, other)
        else:
            score = float(text.strip() == reference.strip())
        return Grade(criterion.name, criterion.type, score >= criterion.pass_threshold, score)

    async def _label(
        self, criterion: LabelModelGrader, values: Mapping[str, Any], count: Callable[[str, AnswerUsage], None]
    ) -> Grade:
        labels = msgspec.json.encode(criterion.labels).decode()
        words = f'Answer with JSON of the form {{"label": …}}, in which the label is one of {labels}.'
        schema = {"type": "string", "enum": criterion.labels}
        value, sample = await self._ask(criterion, "label", schema, words, {}, values, count)
        if value not in criterion.labels:
            raise ItemFailed("invalid_grade", f"The model {criterion.model!r} gave none of the labels.")
        passed = value in criterion.passing_labels
        return Grade(criterion.name, criterion.type, passed, float(passed), sample)

    async def _score(
        self, criterion: ScoreModelGrader, values: Mapping[str, Any], count: Callable[[str, AnswerUsage], None]
    ) -> Grade:
        low, high = criterion.bounds
        words = f'Answer with JSON of the form {{"score": …}}, in which the score is a number from {low:g} to {high:g}.'
        sampling = {} if criterion.sampling_params is None else criterion.sampling_params.model_dump(exclude_none=True)
        if "max_completions_tokens" in sampling:
            sampling["max_completion_tokens"] = sampling.pop("max_completions_tokens")
        schema = {"type": "number", "minimum": low, "maximum": high}
        value, sample = await self._ask(criterion, "score", schema, words, sampling, values, count)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ItemFailed("invalid_grade", f"The model {criterion.model!r} gave no score from {low:g} to {high:g}.")
        threshold = (low + high) / 2 if criterion.pass_threshold is None else criterion.pass_threshold
        return Grade(criterion.name, criterion.type, value >= threshold, float(value), sample)

    async def _ask(
        self,
        criterion: LabelModelGrader | ScoreModelGrader,
        member: str,
        schema: Mapping[str, Any],
        words: str,
        sampling: Mapping[str, Any],
        values: Mapping[str, Any],
        count: Callable[[str, AnswerUsage], None],
    ) -> tuple[Any, dict[str, Any]]:
        """Ask a criterion's model for an object with one member; return that, and the answer for the output item."""
        form = {
            "type": "object",
            "properties": {member: schema},
            "required": [member],
            "additionalProperties": False,
        }
        messages = _instruct([_render_message(message, values) for message in criterion.input], words)
        answer = await self._asker.ask(
            {
                "model": criterion.model,
                "messages": messages,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": member, "strict": True, "schema": form},
                },
                **{"temperature": 0, "seed": DEFAULT_SEED, "max_completion_tokens": _GRADE_TOKENS},
                **sampling,
            }
        )
        count(criterion.model, answer.usage)
        sample = {"model": criterion.model, "input": messages, "output_text": answer.text}
        try:
            return msgspec.json.decode(answer.text, type=dict[str, Any]).get(member), sample
        except BAD_JSON:
            raise ItemFailed(
                "invalid_grade", f"The model {criterion.model!r} gave no JSON, but {answer.text[:80]!r}."
            ) from None


def _check_string(criterion: StringCheckGrader, values: Mapping[str, Any]) -> Grade:
    text, reference = render(criterion.input, values), render(criterion.reference, values)
    passed = _STRING_CHECKS[criterion.operation](text, reference)
    return Grade(criterion.name, criterion.type, passed, float(passed))


def _render_message(message: EvalMessage, values: Mapping[str, Any]) -> dict[str, str]:
    return {"role": message.role, "content": render(text_of(message), values)}


def _instruct(messages: list[dict[str, str]], words: str) -> list[dict[str, str]]:
    """Add the form of the answer to the system text: base models know of it by words alone."""
    first, *rest = messages
    if first["role"] in ("system", "developer"):
        return [{**first, "content": f"{first['content']}\n\n{words}"}, *rest]
    return [{"role": "system", "content": words}, *messages]
