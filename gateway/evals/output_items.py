"""From a row to its output item: the model's answer, and its grades."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from gateway.errors import BAD_JSON
from gateway.evals.data_sources import CompletionsDataSource, ResponsesDataSource, make_body
from gateway.evals.grading import Grade, Grader
from gateway.evals.item_answers import AnswerUsage, Asker, ItemAnswer, ItemFailed
from gateway.evals.items import DataItem
from gateway.evals.templates import UnknownPlace

__all__ = ["ItemOutcome", "OutputItemMaker"]

_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cached_tokens": 0}


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """An output item, and the tokens that it took, by model.

    `sample` and `results` are as OpenAI's output items have them.
    """

    number: int
    status: Literal["pass", "fail", "error"]
    item: dict[str, Any]
    sample: dict[str, Any]
    grades: list[Grade]
    usage: list[tuple[str, AnswerUsage]]


class OutputItemMaker:
    """Makes the output items of one run.

    Args:
        source: The way that a model is asked; None where rows have their answers.
        asker: Asks models.
        grader: Grades by the eval's criteria.
    """

    def __init__(
        self, source: CompletionsDataSource | ResponsesDataSource | None, asker: Asker, grader: Grader
    ) -> None:
        self._source = source
        self._asker = asker
        self._grader = grader

    async def make(self, number: int, row: DataItem) -> ItemOutcome:
        """Answer and grade one row; what can't be is an outcome too.

        Raises:
            JobFailed: A model doesn't exist, so that no row can be answered.
            JobDelayed: A part that is needed is away.
        """
        usage: list[tuple[str, AnswerUsage]] = []
        values: dict[str, Any] = {"item": row.item}
        if self._source is None:
            values["sample"] = _complete_sample(row.sample or {})
            sample = _describe_rows_own(values["sample"])
        else:
            body: dict[str, Any] = {"model": self._source.model or "", "messages": []}
            try:
                body = make_body(self._source, row.item)
                answer = await self._asker.ask(body)
            except UnknownPlace as error:
                return _fail(number, row, body, ItemFailed("unknown_place", str(error)))
            except ItemFailed as error:
                return _fail(number, row, body, error)
            usage.append((answer.model, answer.usage))
            values["sample"] = _to_sample(body, answer)
            sample = _describe_answer(body, answer)
        grades = await self._grader.grade(values, lambda model, tokens: usage.append((model, tokens)))
        if any(grade.failed for grade in grades):
            status = "error"
        else:
            status = "pass" if all(grade.passed for grade in grades) else "fail"
        return ItemOutcome(number, status, row.item, sample, grades, usage)


def _to_sample(body: Mapping[str, Any], answer: ItemAnswer) -> dict[str, Any]:
    """Return the namespace `sample` of an answer."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.tool_calls:
        message["tool_calls"] = answer.tool_calls
    return _complete_sample(
        {
            "model": answer.model,
            "input": body["messages"],
            "output_text": answer.text,
            "output_tools": answer.tool_calls,
            "finish_reason": answer.finish_reason,
            "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        }
    )


def _complete_sample(sample: dict[str, Any]) -> dict[str, Any]:
    """Add the answer read as JSON, where it is some."""
    text = sample.get("output_text")
    if "output_json" in sample or not isinstance(text, str):
        return sample
    try:
        return {**sample, "output_json": msgspec.json.decode(text)}
    except BAD_JSON:
        return sample


def _describe_answer(body: Mapping[str, Any], answer: ItemAnswer) -> dict[str, Any]:
    parameters, text = answer.parameters, answer.text
    if not text and answer.tool_calls:
        text = msgspec.json.encode(answer.tool_calls).decode()
    return {
        **_describe_input(body),
        "output": [{"role": "assistant", "content": text}],
        "finish_reason": answer.finish_reason,
        # An engine's defaults, where neither the run nor the release says anything.
        "temperature": 1.0 if parameters.temperature is UNSET else parameters.temperature,
        "top_p": 1.0 if parameters.top_p is UNSET else parameters.top_p,
        "seed": 0 if parameters.seed is UNSET else parameters.seed,
        "max_completion_tokens": 0 if parameters.max_tokens is UNSET else parameters.max_tokens,
        "usage": {
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "total_tokens": answer.usage.total_tokens,
            "cached_tokens": answer.usage.cached_tokens,
        },
    }


def _fail(number: int, row: DataItem, body: Mapping[str, Any], failure: ItemFailed) -> ItemOutcome:
    sample = {**_describe_input(body), "error": failure.describe()}
    return ItemOutcome(number, "error", row.item, sample, [], [])


def _describe_rows_own(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer that a row brought."""
    text = sample.get("output_text")
    output = [] if text is None else [{"role": "assistant", "content": _to_text(text)}]
    return {**_describe_input({"model": "", "messages": []}), "output": output}


def _describe_input(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": body["model"],
        "input": [{"role": one["role"], "content": _to_text(one.get("content"))} for one in body["messages"]],
        "output": [],
        "finish_reason": "",
        "temperature": 0.0,
        "top_p": 0.0,
        "seed": 0,
        "max_completion_tokens": 0,
        "usage": _NO_USAGE,
        "error": None,
    }


def _to_text(content: Any) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else msgspec.json.encode(content).decode()
