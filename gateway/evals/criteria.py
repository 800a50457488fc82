"""Testing criteria as clients write them, and the messages of a prompt with templates in them."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from gateway.errors import BadRequest
from gateway.evals.templates import NAMESPACES, check_template
from gateway.optional_members import NullsLeftOut

__all__ = [
    "CRITERIA",
    "METRICS",
    "EvalMessage",
    "LabelModelGrader",
    "ModelName",
    "PythonGrader",
    "ReasoningEffort",
    "ScoreModelGrader",
    "Seed",
    "StringCheckGrader",
    "Temperature",
    "TestingCriterion",
    "TextSimilarityGrader",
    "Tokens",
    "TopP",
    "check_criteria",
    "check_messages",
    "text_of",
]

METRICS = ("cosine", "fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l")
_MOST_MESSAGES = 64

Template = Annotated[str, StringConstraints(max_length=65_536)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(ge=0, le=1)]
Tokens = Annotated[int, Field(ge=1, le=2**31)]
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
ReasoningEffort = Annotated[str, StringConstraints(max_length=32)]


_Nothing = Annotated[list[None] | None, Field(max_length=0, exclude=True)]
"""A list in an answer's message that has to be empty."""
_IgnoredList = Annotated[list[dict[str, Any]] | None, Field(exclude=True)]


class EvalText(NullsLeftOut):
    """A part of a message; a break in a cache of prompts changes no answer, nor do marks and figures of an answer."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["input_text", "output_text"]
    text: Template
    prompt_cache_breakpoint: Annotated[dict[str, Any] | None, Field(exclude=True)] = None
    annotations: _IgnoredList = None
    logprobs: _IgnoredList = None


class EvalMessage(NullsLeftOut):
    """One message, with templates in its text; images and sound can't be answered here.

    `id`, `status`, `phase`, `annotations` and thoughts are those of a message that an API answered, and change no
    answer; sound and calls of tools have to be empty. A `refusal` stands for the content that an answer hadn't.
    """

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant", "system", "developer"]
    content: Template | EvalText | Annotated[list[Template | EvalText], Field(max_length=_MOST_MESSAGES)]
    type: Literal["message"] | None = None
    status: Annotated[str | None, Field(exclude=True)] = None
    phase: Annotated[str | None, Field(exclude=True)] = None
    id: Annotated[str | None, Field(exclude=True)] = None
    annotations: _IgnoredList = None
    reasoning: Annotated[str | None, Field(exclude=True)] = None
    reasoning_content: Annotated[str | None, Field(exclude=True)] = None
    refusal: Annotated[None, Field(exclude=True)] = None
    audio: Annotated[None, Field(exclude=True)] = None
    function_call: Annotated[None, Field(exclude=True)] = None
    tool_calls: _Nothing = None

    @model_validator(mode="before")
    @classmethod
    def _take_refusals(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        members = cast("dict[str, Any]", value)
        if members.get("role") != "assistant":
            return members
        content = members.get("content")
        if not content and isinstance(members.get("refusal"), str):
            return members | {"content": members["refusal"], "refusal": None}
        if isinstance(content, list):
            return members | {"content": [_take_refusal(part) for part in cast("list[Any]", content)]}
        return members


def _take_refusal(part: object) -> object:
    """Return a part as one of text, where it is a refusal's."""
    if not isinstance(part, dict):
        return part
    members = cast("dict[str, object]", part)
    if members.get("type") != "refusal" or "text" in members:
        return members
    renamed = {"text" if name == "refusal" else name: value for name, value in members.items()}
    return renamed | {"type": "output_text"}


Messages = Annotated[list[EvalMessage], Field(min_length=1, max_length=_MOST_MESSAGES)]


class StringCheckGrader(NullsLeftOut):
    """Compares two texts: `like` asks whether the reference stands in the input, `ilike` the same in any case."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["string_check"]
    name: Name
    input: Template
    reference: Template
    operation: Literal["eq", "ne", "like", "ilike"]


class TextSimilarityGrader(NullsLeftOut):
    """Scores from 0 to 1; one of at least `pass_threshold` passes."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text_similarity"]
    name: Name
    input: Template
    reference: Template
    evaluation_metric: Literal[
        "cosine", "fuzzy_match", "bleu", "gleu", "meteor",
        "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
    ]  # fmt: skip
    pass_threshold: Finite

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 1.0


class LabelModelGrader(NullsLeftOut):
    """Has a model choose one of `labels`."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["label_model"]
    name: Name
    model: ModelName
    input: Messages
    labels: Annotated[list[Label], Field(min_length=1, max_length=100)]
    passing_labels: Annotated[list[Label], Field(max_length=100)]


class GraderSampling(NullsLeftOut):
    """Sampling of a grader's model; the misspelt name is OpenAI's."""

    model_config = ConfigDict(extra="forbid")

    max_completions_tokens: Tokens | None = None
    reasoning_effort: ReasoningEffort | None = None
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None


class ScoreModelGrader(NullsLeftOut):
    """Has a model give a score within `range`; one of at least `pass_threshold`, else of half the range, passes."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["score_model"]
    name: Name
    model: ModelName
    input: Messages
    range: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = None
    pass_threshold: Finite | None = None
    sampling_params: GraderSampling | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        low, high = self.range or (0.0, 1.0)
        return low, high


class PythonGrader(NullsLeftOut):
    """A program of the client's, which isn't run here."""

    type: Literal["python"]
    name: str = ""
    source: str = ""


TestingCriterion = Annotated[
    StringCheckGrader | TextSimilarityGrader | LabelModelGrader | ScoreModelGrader | PythonGrader,
    Field(discriminator="type"),
]
CRITERIA: TypeAdapter[list[Any]] = TypeAdapter(list[TestingCriterion])


def check_criteria(criteria: list[Any]) -> None:
    """Refuse what can't be graded here, what can't decide anything, and templates that can't be filled.

    Raises:
        BadRequest: A criterion is a program or a metric that isn't there, has bounds that no score or every one keeps
            to, or has a template that is none.
    """
    for index, criterion in enumerate(criteria):
        param = f"testing_criteria[{index}]"
        if isinstance(criterion, PythonGrader):
            raise BadRequest(
                "A criterion of type 'python' is a program, and Braid runs none that a request brings. Use "
                "string_check, text_similarity, label_model or score_model, or grade the answers yourself: the output "
                "items of a run have them.",
                param=param,
                code="unsupported_grader",
            )
        if isinstance(criterion, TextSimilarityGrader) and criterion.evaluation_metric not in METRICS:
            raise BadRequest(
                f"The metric {criterion.evaluation_metric!r} needs a dictionary of synonyms that isn't part of Braid. "
                f"Use one of {', '.join(METRICS)}.",
                param=f"{param}.evaluation_metric",
                code="unsupported_grader",
            )
        if isinstance(criterion, StringCheckGrader | TextSimilarityGrader):
            check_template(criterion.input, f"{param}.input")
            check_template(criterion.reference, f"{param}.reference")
        else:
            check_messages(criterion.input, f"{param}.input")
        _check_bounds(criterion, param)


def check_messages(messages: list[EvalMessage], param: str, namespaces: Sequence[str] = NAMESPACES) -> None:
    """Check the templates of some messages; `namespaces` are those that there will be values of.

    Raises:
        BadRequest: One can't be filled.
    """
    for index, message in enumerate(messages):
        for text in _texts(message):
            check_template(text, f"{param}[{index}].content", namespaces)


def text_of(message: EvalMessage) -> str:
    """Return a message's text, templates and all; parts are lines of it."""
    return "\n".join(_texts(message))


def _check_bounds(criterion: Any, param: str) -> None:
    """Refuse labels that no grade can have, and a threshold that no score reaches or that each one does.

    Criteria that are kept already aren't held against this: a run grades by them as they are.
    """
    if isinstance(criterion, LabelModelGrader):
        if not criterion.passing_labels:
            raise BadRequest(
                "passing_labels is empty, so that no row would pass. Name those of labels that are right.",
                param=f"{param}.passing_labels",
                code="invalid_criterion",
            )
        others = [label for label in criterion.passing_labels if label not in criterion.labels]
        if others:
            raise BadRequest(
                f"passing_labels has {others[0][:80]!r}, which isn't in labels, so that no answer gets it.",
                param=f"{param}.passing_labels",
                code="invalid_criterion",
            )
        return
    if not isinstance(criterion, ScoreModelGrader | TextSimilarityGrader):
        return
    low, high = criterion.bounds
    if low >= high:
        raise BadRequest(
            "A range goes from a lower number to a higher one.", param=f"{param}.range", code="invalid_criterion"
        )
    threshold = criterion.pass_threshold
    if threshold is not None and not low <= threshold <= high:
        never = threshold > high
        raise BadRequest(
            f"pass_threshold is {threshold:g}, and scores are from {low:g} to {high:g}: "
            f"{'no row' if never else 'every row'} would pass. Choose one from {low:g} to {high:g}.",
            param=f"{param}.pass_threshold",
            code="invalid_criterion",
        )


def _texts(message: EvalMessage) -> Iterator[str]:
    parts = message.content if isinstance(message.content, list) else [message.content]
    for part in parts:
        yield part if isinstance(part, str) else part.text
