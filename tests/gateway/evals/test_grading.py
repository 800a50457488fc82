"""Grades by each kind of criterion, without a gateway: a model's words are written down, and so are vectors."""

import json
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.evals.criteria import CRITERIA
from gateway.evals.grading import Grade, Grader
from gateway.evals.item_answers import AnswerUsage, Asker
from gateway.tenants.authenticator import Principal

JUDGE: list[dict[str, Any]] = [{"role": "user", "content": "Is {{ sample.output_text }} right?"}]
LABEL: dict[str, Any] = {
    **{"type": "label_model", "name": "c", "model": "judge", "input": JUDGE},
    **{"labels": ["good", "bad"], "passing_labels": ["good"]},
}
SCORE: dict[str, Any] = {"type": "score_model", "name": "c", "model": "judge", "input": JUDGE}


class Judge:
    """A grading model that always says the same, and keeps what it was asked."""

    def __init__(self, answer: str = "") -> None:
        self.answer = answer
        self.bodies: list[Mapping[str, Any]] = []
        self.usage: list[tuple[str, AnswerUsage]] = []
        self.texts: list[Sequence[str]] = []

    async def complete(self, _: Principal, body: Mapping[str, Any]) -> tuple[bytes, bytes]:
        self.bodies.append(body)
        choices = [{"message": {"content": self.answer}}]
        return json.dumps({"choices": choices, "usage": {"total_tokens": 9}}).encode(), b"{}"

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        self.texts.append(texts)
        return [array("f", (1.0, float(len(text)))).tobytes() for text in texts]

    async def grade(self, criterion: Mapping[str, Any], **sample: Any) -> Grade:
        asker = Asker(self.complete, Principal("t", "", "k", frozenset()))
        grader = Grader(CRITERIA.validate_python([criterion]), asker, self.embed)
        values = {
            "item": {"answer": "Straße 1", "long": "x" * 100_001},
            "sample": {"output_text": "STRASSE 12"} | sample,
        }
        (grade,) = await grader.grade(values, lambda model, usage: self.usage.append((model, usage)))
        return grade


def check(operation: str, text: str, reference: str) -> dict[str, Any]:
    return {"type": "string_check", "name": "c", "input": text, "reference": reference, "operation": operation}


def resemble(text: str, reference: str, metric: str) -> dict[str, Any]:
    return {"type": "text_similarity", "name": "c", "input": text, "reference": reference, "evaluation_metric": metric}


@pytest.mark.parametrize(
    ("operation", "text", "reference", "passes"),
    [
        ("eq", "Paris", "Paris", True),
        ("eq", "Paris", "paris", False),
        ("eq", "in Paris", "Paris", False),
        ("ne", "Paris", "paris", True),
        ("ne", "Paris", "Paris", False),
        ("like", "in Paris", "Paris", True),
        ("like", "Paris", "in Paris", False),
        ("like", "in Paris", "paris", False),
        ("ilike", "in PARIS", "Paris", True),
        ("ilike", "{{ sample.output_text }}", "{{ item.answer }}", True),
        ("ilike", "Paris", "in paris", False),
    ],
)
async def test_a_string_check_does_what_its_operation_says(
    operation: str, text: str, reference: str, passes: bool
) -> None:
    grade = await Judge().grade(check(operation, text, reference))
    assert (grade.passed, grade.score, grade.failed) == (passes, float(passes), False)


@pytest.mark.parametrize(
    ("text", "reference", "score"),
    [("same", "same", 1.0), (" \n", "", 1.0), ("", "not blank", 0.0), ("not blank", " ", 0.0)],
)
async def test_a_cosine_of_blank_texts_asks_no_embedder(text: str, reference: str, score: float) -> None:
    judge = Judge()
    similar = resemble(text, reference, "cosine")
    grade = await judge.grade(similar | {"pass_threshold": 0.5})
    assert (grade.score, grade.passed) == (pytest.approx(score), score == 1.0)
    assert judge.texts == ([["same", "same"]] if text == "same" else [])


@pytest.mark.parametrize(("threshold", "passes"), [(1.0, True), (1.01, False)])
async def test_a_similarity_at_its_threshold_passes(threshold: float, passes: bool) -> None:
    similar = resemble("a b", "b a", "rouge_1")
    assert (await Judge().grade(similar | {"pass_threshold": threshold})).passed is passes


@pytest.mark.parametrize("sides", [("{{ item.long }}", "x"), ("x", "{{ item.long }}")])
async def test_texts_too_long_to_compare_are_an_error_of_their_item(sides: tuple[str, str]) -> None:
    similar = resemble(*sides, "fuzzy_match") | {"pass_threshold": 0}
    grade = await Judge().grade(similar)
    assert (grade.failed, grade.passed, grade.score) == (True, False, 0.0)
    assert isinstance(grade.sample, dict)
    assert grade.sample["error"]["code"] == "text_too_long"


@pytest.mark.parametrize(
    ("answer", "more", "outcome"),
    [
        ('{"score": 0.5}', {}, (True, 0.5)),  # half of the range, where nothing else is said
        ('{"score": 0.49}', {}, (False, 0.49)),
        ('{"score": 2}', {"range": [2, 6]}, (False, 2.0)),
        ('{"score": 4}', {"range": [2, 6]}, (True, 4.0)),
        ('{"score": 6}', {"range": [2, 6]}, (True, 6.0)),
        ('{"score": 0}', {"pass_threshold": 0}, (True, 0.0)),
        ('{"score": 1}', {"pass_threshold": 1}, (True, 1.0)),
        ('{"score": 0.99}', {"pass_threshold": 1}, (False, 0.99)),
        ('{"score": true}', {}, None),
        ('{"score": "1"}', {}, None),
        ('{"score": 1.01}', {}, None),
        ('{"score": -0.01}', {}, None),
        ('{"points": 1}', {}, None),
        ("[1]", {}, None),
        ("It is 1.", {}, None),
    ],
)
async def test_a_score_is_a_number_of_its_range_held_against_the_threshold(
    answer: str, more: dict[str, Any], outcome: tuple[bool, float] | None
) -> None:
    judge = Judge(answer)
    grade = await judge.grade(SCORE | more)
    assert grade.failed is (outcome is None)
    assert (grade.passed, grade.score) == (outcome or (False, 0.0))
    assert [(model, usage.total_tokens) for model, usage in judge.usage] == [("judge", 9)], "also of what is no grade"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [('{"label": "good"}', (True, 1.0)), ('{"label": "bad"}', (False, 0.0)), ('{"label": "Good"}', None), ("{}", None)],
)
async def test_a_label_is_one_of_those_that_were_named(answer: str, outcome: tuple[bool, float] | None) -> None:
    grade = await Judge(answer).grade(LABEL)
    assert grade.failed is (outcome is None)
    assert (grade.passed, grade.score) == (outcome or (False, 0.0))


@pytest.mark.parametrize("role", ["system", "developer"])
async def test_the_form_of_a_grade_is_told_once_in_the_system_text(role: str) -> None:
    judge = Judge('{"score": 1}')
    await judge.grade(SCORE | {"range": [1, 5], "input": [{"role": role, "content": "Be strict."}, *JUDGE]})
    await judge.grade(SCORE | {"range": [1, 5]})
    told, alone = (body["messages"] for body in judge.bodies)
    assert [message["role"] for message in told] == [role, "user"]
    assert [message["role"] for message in alone] == ["system", "user"]
    assert told[0]["content"] == f"Be strict.\n\n{alone[0]['content']}"
    assert "a number from 1 to 5" in alone[0]["content"]
    assert told[1] == alone[1] == {"role": "user", "content": "Is STRASSE 12 right?"}


async def test_a_grading_model_is_asked_for_the_same_answer_each_time_unless_its_sampling_is_named() -> None:
    judge = Judge('{"score": 1}')
    await judge.grade(SCORE)
    await judge.grade(SCORE | {"sampling_params": {"temperature": 0.7, "seed": 3, "max_completions_tokens": 50}})
    names = ("temperature", "seed", "max_completion_tokens", "max_completions_tokens")
    assert [[body.get(name) for name in names] for body in judge.bodies] == [[0, 42, 2048, None], [0.7, 3, 50, None]]
    form = judge.bodies[0]["response_format"]["json_schema"]
    assert (form["strict"], form["schema"]["required"]) == (True, ["score"])
    assert form["schema"]["properties"]["score"] == {"type": "number", "minimum": 0.0, "maximum": 1.0}


async def test_the_parts_of_a_message_are_lines_of_its_text() -> None:
    judge = Judge('{"label": "good"}')
    parts: list[Any] = ["Is this right?", {"type": "input_text", "text": "{{ sample.output_text }}"}]
    grade = await judge.grade(LABEL | {"input": [{"role": "user", "content": parts}]})
    assert judge.bodies[0]["messages"][-1]["content"] == "Is this right?\nSTRASSE 12"
    assert isinstance(grade.sample, dict)
    assert (grade.sample["model"], grade.sample["input"]) == ("judge", judge.bodies[0]["messages"])
