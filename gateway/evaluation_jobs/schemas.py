from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage
from gateway.prompts.variables import Variables
from gateway.vector_stores.schemas import HybridSearch
from retrieval.answer_probability import LEAST_PROBABILITY

__all__ = [
    "MOST_QUESTIONS",
    "Evaluation",
    "EvaluationCreate",
    "EvaluationDeleted",
    "EvaluationError",
    "EvaluationList",
    "EvaluationQuestion",
    "SearchOptions",
]

MOST_QUESTIONS = 5000
Text = Annotated[str, StringConstraints(min_length=1, max_length=32_768, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class _Strict(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")


class EvaluationQuestion(_Strict):
    """A question, and the documents that answer it, by key, id, file id or file name; none where it has no answer."""

    question: Text
    documents: Annotated[list[Name], Field(max_length=1000)]
    id: Name | None = None
    answer: Annotated[str, StringConstraints(max_length=32_768)] = ""


class SearchOptions(_Strict):
    """A way to search, by options that a release (`rerank`) and a request (`hybrid_search`) have."""

    hybrid_search: HybridSearch | None = None
    rerank: bool = False

    @model_validator(mode="after")
    def _some(self) -> "SearchOptions":
        if self.hybrid_search is None and not self.rerank:
            raise ValueError("give hybrid_search or rerank: without them it is the usual search")
        return self


class EvaluationCreate(_Strict):
    """Labelled questions for a store: in the request, or in an uploaded file (`.jsonl`, `.csv`, `.tsv`).

    `retrieval` measures searches; `against` are stores of the same documents that are compared with the first one,
    `against_options` other ways to search the first one.
    `calibration` fits the probability that a store's passages answer to its questions; instead of labelled ones the
    base model can be had write as many as `generate` says. Abstention is counted as assistants abstain, where the
    probability of an answer is below `least_probability`; or, in an evaluation of retrieval with a `score_threshold`,
    where the best passage's score is. `advice` says what to use, style, documents or examples, for the
    conversations in a file: half of them, at most `rows`, are asked in each way. `prompt` (`name` or `name@version`,
    with `variables` for its own names) is asked in the ways that have a prompt.
    """

    kind: Literal["retrieval", "calibration", "advice"]
    vector_store_id: Name | None = None
    against: Annotated[list[Name], Field(max_length=4)] = []
    against_options: Annotated[list[SearchOptions], Field(max_length=4)] = []
    questions: Annotated[list[EvaluationQuestion], Field(min_length=1, max_length=MOST_QUESTIONS)] | None = None
    file_id: Name | None = None
    generate: Annotated[int, Field(ge=20, le=1000)] | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    least_probability: Annotated[float, Field(ge=0, le=1)] = LEAST_PROBABILITY
    adapter: Name | None = None
    prompt: Name | None = None
    variables: Variables = {}
    rows: Annotated[int, Field(ge=10, le=500)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "EvaluationCreate":
        if self.kind == "advice":
            return self._check_advice()
        if self.vector_store_id is None:
            raise ValueError("give the vector_store_id that is searched")
        if self.adapter is not None or self.rows is not None or self.prompt is not None or self.variables:
            raise ValueError("adapter, prompt, variables and rows are for an advice")
        sources = sum(source is not None for source in (self.questions, self.file_id, self.generate))
        if self.kind == "retrieval" and (sources != 1 or self.generate is not None):
            raise ValueError("give either questions or file_id")
        if self.kind == "calibration" and self.score_threshold is not None:
            raise ValueError("a calibration has no score_threshold: its limit is least_probability")
        if self.kind == "calibration" and (sources != 1 or self.against or self.against_options):
            raise ValueError("give one of questions, file_id and generate, and no against: one store is calibrated")
        return self

    def _check_advice(self) -> "EvaluationCreate":
        others = {"questions", "generate", "against", "against_options", "score_threshold", "least_probability"}
        if self.file_id is None or others & self.model_fields_set:
            option_names = "vector_store_id, adapter, prompt, variables and rows"
            raise ValueError(f"give the file_id of conversations, and besides {option_names} only")
        return self


class EvaluationError(BaseModel):
    code: str
    message: str


class Evaluation(BaseModel):
    """An evaluation; `done` of `total` steps have been made, and the report is there once it has succeeded.

    A step is a search for a question, or one of the questions that a model writes, or is asked. `questions` of an
    advice are its conversations; without documents it has no store. `score_threshold` is null where abstention isn't
    counted by scores; the report has the limit in any case.
    """

    id: str
    object: Literal["evaluation"] = "evaluation"
    kind: Literal["retrieval", "calibration", "advice"]
    created_at: int
    finished_at: int | None
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    vector_store_id: str | None
    against: list[str]
    source: str
    questions: int
    score_threshold: float | None
    total: int
    done: int
    error: EvaluationError | None


class EvaluationList(CursorPage[Evaluation]):
    pass


class EvaluationDeleted(BaseModel):
    id: str
    object: Literal["evaluation.deleted"] = "evaluation.deleted"
    deleted: bool = True
