from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.comparisons.sides import Place, Side
from gateway.evals.criteria import ModelName, Temperature, Tokens, TopP
from gateway.feedback.schemas import Reason, Reply, TextMessage, TextMessages, Voter
from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage
from gateway.vector_stores.schemas import Metadata

__all__ = [
    "MOST_PROMPTS",
    "Agreement",
    "Comparison",
    "ComparisonCreate",
    "ComparisonDeleted",
    "ComparisonError",
    "ComparisonItem",
    "ComparisonItemList",
    "ComparisonList",
    "ComparisonPrompt",
    "ComparisonSampling",
    "ComparisonSummary",
    "ComparisonVote",
    "ComparisonVoteCreate",
    "ComparisonVoteList",
    "Figure",
    "RevealedAnswer",
]

MOST_PROMPTS = 1_000


class ComparisonPrompt(NullsLeftOut):
    """A conversation that ends with a question."""

    model_config = ConfigDict(extra="forbid")

    messages: TextMessages


class ComparisonSampling(NullsLeftOut):
    """Of both sides, in place of the releases' own. Seeds are drawn from the comparison's, another one per answer."""

    model_config = ConfigDict(extra="forbid")

    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_completion_tokens: Tokens | None = None


class ComparisonCreate(NullsLeftOut):
    """`models` are the sides a and b: releases (`name@number`), assistants, adapters, or the base model.

    An assistant stands for its release with the largest share of the traffic. Both may be the same: then one model's
    own answers are compared. The prompts are `prompts`, or those of up to `rows` rows of a training file (`file_id`)
    or of a run of an eval (`eval_run_id`).
    """

    model_config = ConfigDict(extra="forbid")

    models: Annotated[list[ModelName], Field(min_length=2, max_length=2)]
    prompts: Annotated[list[ComparisonPrompt], Field(min_length=1, max_length=MOST_PROMPTS)] | None = None
    file_id: Annotated[str, StringConstraints(max_length=255)] | None = None
    eval_run_id: Annotated[str, StringConstraints(max_length=255)] | None = None
    rows: Annotated[int, Field(ge=1, le=MOST_PROMPTS)] = 200
    name: Annotated[str, StringConstraints(max_length=255)] = ""
    metadata: Metadata | None = None
    sampling: ComparisonSampling = ComparisonSampling()
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class ComparisonError(BaseModel):
    code: str
    message: str


class Comparison(BaseModel):
    """`answered` and `errored` of the `total` prompts have their items. `models` are the sides a and b."""

    id: str
    object: Literal["comparison"] = "comparison"
    created_at: int
    finished_at: int | None
    name: str
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    models: list[str]
    sampling: ComparisonSampling
    source: dict[str, Any]
    seed: int
    total: int
    answered: int
    errored: int
    error: ComparisonError | None
    metadata: dict[str, str]


class ComparisonList(CursorPage[Comparison]):
    pass


class ComparisonDeleted(BaseModel):
    id: str
    object: Literal["comparison.deleted"] = "comparison.deleted"
    deleted: bool = True


class RevealedAnswer(BaseModel):
    """The side and the model whose answer it is; of use to those who don't vote any more."""

    side: Side
    model: str
    answer_id: str
    finish_reason: str


class ComparisonItem(BaseModel):
    """A prompt with both answers, in an order that tells nothing; without them there is an `error`.

    `revealed` says whose they are, where a key with the scope `manage` asks for it.
    """

    id: str
    object: Literal["comparison.item"] = "comparison.item"
    created_at: int
    comparison_id: str
    number: int
    messages: list[TextMessage]
    replies: dict[Place, str] | None
    error: ComparisonError | None
    revealed: dict[Place, RevealedAnswer] | None = None


class ComparisonItemList(CursorPage[ComparisonItem]):
    pass


class ComparisonVoteCreate(NullsLeftOut):
    """`voter` names who votes, so that agreement can be counted; without it the key is the voter."""

    model_config = ConfigDict(extra="forbid")

    preferred: Literal["left", "right", "tie"]
    reason: Reason | None = None
    corrected_reply: Reply | None = None
    voter: Voter | None = None


class ComparisonVote(BaseModel):
    """`side` says whose answer was preferred; it is null in the answer to a vote, so that voters stay blind."""

    id: str
    object: Literal["comparison.vote"] = "comparison.vote"
    created_at: int
    updated_at: int
    comparison_id: str
    item_id: str
    voter: str
    preferred: Literal["left", "right", "tie"]
    side: Literal["a", "b", "tie"] | None
    reason: str | None
    corrected_reply: str | None


class ComparisonVoteList(CursorPage[ComparisonVote]):
    pass


class Figure(BaseModel):
    """A share or a mean over `n`, with its 95 % `interval`: `wilson` or `bootstrap`."""

    value: float
    low: float
    high: float
    n: int
    interval: str


class Agreement(BaseModel):
    """The agreement of voters on items that at least two voted on.

    `pairwise` is the share of pairs of votes on one item that say the same, `alpha` is Krippendorff's for nominal data
    (1: all agree, 0: as chance would have it; null where all votes of all items are alike).
    """

    items: int
    pairwise: float
    alpha: float | None


class ComparisonSummary(BaseModel):
    """Votes by item: each item counts once, however many voted on it.

    `wins_a`, `wins_b` and `ties` are items by the majority of their votes. `win_rate` is side a's share of the items
    that have a winner. `score` is the mean over items of the share of votes for a, where ties count half.
    `left_share` is the share of votes with a preference that are for the left answer: far from 0.5, voters look at
    places instead of answers.
    """

    object: Literal["comparison.summary"] = "comparison.summary"
    comparison_id: str
    models: list[str]
    items: int
    voted: int
    votes: int
    voters: int
    wins_a: int
    wins_b: int
    ties: int
    win_rate: Figure | None
    score: Figure | None
    left_share: Figure | None
    agreement: Agreement | None
