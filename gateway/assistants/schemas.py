from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.pages import CursorPage
from gateway.prompts.variables import Variables

__all__ = [
    "Assistant",
    "AssistantCreate",
    "AssistantList",
    "CreatedRelease",
    "Release",
    "ReleaseCreate",
    "ReleaseList",
    "RetrievalOptions",
    "Rollback",
    "Rollout",
    "RolloutStage",
    "RolloutUpdate",
    "SamplingOptions",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AssistantCreate(_Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]


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


class RetrievalOptions(_Strict):
    """`filters` are OpenAI's attribute filters: which documents of the stores may answer.

    Where no passage answers the question with `least_probability`, as the retriever estimates it, the model gets none.
    `rerank` lets the operator's reranker order the best passages.
    `links` says where answers may link to: `given`, to addresses that the prompt has, or `any`.
    """

    vector_stores: Annotated[list[str], Field(min_length=1, max_length=10)]
    top_k: Annotated[int, Field(ge=1, le=50)] = 5
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    mode: Literal["required", "degrade"] = "required"
    filters: dict[str, Any] | None = None
    least_probability: Annotated[float, Field(ge=0, le=1)] = 0.3
    rerank: bool = False
    links: Literal["given", "any"] = "given"


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


class CreatedRelease(BaseModel):
    release: int
    fingerprint: str


class Release(CreatedRelease):
    created_at: int
    spec: dict[str, Any]


class ReleaseList(CursorPage[Release]):
    pass


class RolloutUpdate(_Strict):
    """`revision` is the one that was read (0 before the first); a newer one in between means 409."""

    stages: Annotated[list[RolloutStage], Field(min_length=1, max_length=10)]
    revision: int


class Rollback(_Strict):
    revision: int


class Rollout(BaseModel):
    assistant: str
    stages: list[RolloutStage]
    revision: int
