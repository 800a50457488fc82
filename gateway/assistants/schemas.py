from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    model_validator,
)

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage
from gateway.prompts.variables import Variables
from retrieval.answer_probability import JUDGED_PASSAGES, LEAST_PROBABILITY

__all__ = [
    "Assistant",
    "AssistantCreate",
    "AssistantList",
    "BoostOptions",
    "CreatedRelease",
    "ForcedRollout",
    "GateOutcome",
    "Release",
    "ReleaseCreate",
    "ReleaseGate",
    "ReleaseList",
    "ReleaseWarning",
    "RetrievalOptions",
    "Rollback",
    "Rollout",
    "RolloutRevision",
    "RolloutRevisionList",
    "RolloutStage",
    "RolloutUpdate",
    "SamplingOptions",
]


Text512 = Annotated[str, StringConstraints(strict=True, max_length=512)]


class _Strict(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")


class AssistantCreate(_Strict):
    """A name of the tenant's choice, or that of a fine-tuned model elsewhere (`ft:…`), so that its clients go on."""

    name: Annotated[
        str, StringConstraints(pattern=r"^([a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}|ft:[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,250})$")
    ]


class RolloutStage(_Strict):
    release: Annotated[int, Field(ge=1)]
    weight: Annotated[int, Field(ge=0, le=10_000)] = 100


class Assistant(BaseModel):
    id: str
    name: str
    created_at: int
    stages: list[RolloutStage]
    revision: int


class AssistantList(CursorPage[Assistant]):
    pass


class BoostOptions(_Strict):
    """A preference among passages, by an attribute of their documents: that it has a `value`, or its recency."""

    attribute: Annotated[str, Field(min_length=1, max_length=64)]
    weight: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
    value: (
        Annotated[str, StringConstraints(strict=True, max_length=512)] | StrictBool | StrictInt | StrictFloat | None
    ) = None
    half_life_days: Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "BoostOptions":
        if (self.value is None) == (self.half_life_days is None):
            raise ValueError("a boost takes either a value or half_life_days")
        return self


class RetrievalOptions(_Strict):
    """An assistant's way to search; `filters` are OpenAI's attribute filters: which documents of the stores may answer.

    `when`: `auto` searches for all but small talk, `always` for that too. `rewrite`: the engine rewrites, with the
    conversation, the questions that need it (`auto`), all but the first (`always`), or none. `boosts` rank what was
    found, `collapse_duplicates` puts copies behind the best of them, `max_per_document` bounds the share of one
    document, and `expand` extends passages by the chunks around them (`neighbours`: one on either side; `section`: all
    below the same headings), all texts together within `passage_characters` (8,000). Where no passage answers the
    question with `least_probability`, as the retriever estimates it, the model gets none. `rerank` lets the operator's
    reranker order the best passages. `links` says where answers may
    link to: `given`, to addresses that the prompt has, or `any`.
    """

    vector_stores: Annotated[list[str], Field(min_length=1, max_length=10)]
    top_k: Annotated[int, Field(ge=1, le=50)] = JUDGED_PASSAGES
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    mode: Literal["required", "degrade"] = "required"
    filters: dict[str, Any] | None = None
    least_probability: Annotated[float, Field(ge=0, le=1)] = LEAST_PROBABILITY
    rerank: bool = False
    links: Literal["given", "any"] = "given"
    when: Literal["auto", "always"] = "auto"
    rewrite: Literal["never", "auto", "always"] = "never"
    max_per_document: Annotated[int, Field(ge=1, le=50)] | None = None
    collapse_duplicates: bool = True
    boosts: Annotated[list[BoostOptions], Field(max_length=8)] = []
    expand: Literal["none", "neighbours", "section"] = "none"
    passage_characters: Annotated[int, Field(ge=500, le=200_000)] | None = None


class SamplingOptions(_Strict):
    """Decoding settings that hold where the client gives none."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: list[str] | None = None
    seed: int | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None


class ReleaseCreate(_Strict):
    """`variables` are values for the prompt's own names."""

    base_model: str | None = None
    adapter: str | None = None
    prompt: str | None = None
    variables: Variables = {}
    retrieval: RetrievalOptions | None = None
    sampling: SamplingOptions = SamplingOptions()


class ReleaseWarning(BaseModel):
    """A difference between a release and what its adapter was trained with.

    `code` is `prompt_differs`, `builtin_prompt_differs`, `variables_differ` or `prompt_unproven`.
    """

    code: str
    message: str


class CreatedRelease(BaseModel):
    release: int
    fingerprint: str
    warnings: list[ReleaseWarning] = []


GateOutcome = Literal["passed", "failed", "none"]


class ReleaseGate(BaseModel):
    """The verdict of gates on a release's content, with what it was measured by.

    It is that of the newest gate of all releases with this fingerprint, but for gates that were looser than one that
    failed. `failed` names the checks that didn't hold, `undecided` those among them that had too few rows to tell.
    """

    passed: bool
    decided_at: int
    failed: list[str]
    undecided: list[str]
    margin: float
    neutral_margin: float
    rows: int
    canaries: int
    evals: list[str]
    general_prompts: int


class Release(CreatedRelease):
    created_at: int
    spec: dict[str, Any]
    gate: ReleaseGate | None


class ReleaseList(CursorPage[Release]):
    pass


class RolloutUpdate(_Strict):
    """`revision` is the one that was read (0 before the first); a newer one in between means 409.

    `force` with a `reason` gives traffic to releases that have failed their gates, or lack one that they need.
    """

    stages: Annotated[list[RolloutStage], Field(min_length=1, max_length=10)]
    revision: int
    force: StrictBool = False
    reason: (
        Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=1000)] | None
    ) = None

    @model_validator(mode="after")
    def _force_has_a_reason(self) -> "RolloutUpdate":
        if self.force and self.reason is None:
            raise ValueError("force takes a reason, which stays in the rollout's record")
        return self


class Rollback(_Strict):
    revision: int


class ForcedRollout(BaseModel):
    """Releases that got traffic in spite of a failed gate or a missing one; `key` is the id of who forced it."""

    reason: str
    key: str
    releases: list[int]
    at: int


class Rollout(BaseModel):
    """A rollout; `gates` says of each release in it how the gates of its content ended, if it has had one.

    `forced` has those who gave traffic to releases that serve in it, in spite of a failed gate or a missing one.
    """

    assistant: str
    stages: list[RolloutStage]
    revision: int
    gates: dict[int, GateOutcome]
    forced: list[ForcedRollout]


class RolloutRevision(BaseModel):
    """A rollout as it was written; `previous` is the revision that a roll back from it returns to."""

    id: str
    revision: int
    created_at: int
    stages: list[RolloutStage]
    previous: int | None
    forced: list[ForcedRollout]


class RolloutRevisionList(CursorPage[RolloutRevision]):
    pass
