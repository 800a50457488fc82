from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "AssistantList",
    "AssistantRequest",
    "AssistantShown",
    "ReleaseList",
    "ReleaseMade",
    "ReleaseRequest",
    "ReleaseShown",
    "RetrievalRequest",
    "RollbackRequest",
    "RolloutRequest",
    "RolloutShown",
    "SamplingRequest",
    "StageShown",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AssistantRequest(_Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]


class StageShown(_Strict):
    release: Annotated[int, Field(ge=1)]
    weight: Annotated[int, Field(ge=0, le=10_000)] = 100


class AssistantShown(BaseModel):
    id: str
    name: str
    created_at: int
    stages: list[StageShown]
    revision: int


class AssistantList(BaseModel):
    data: list[AssistantShown]


class RetrievalRequest(_Strict):
    vector_stores: Annotated[list[str], Field(min_length=1, max_length=10)]
    top_k: Annotated[int, Field(ge=1, le=50)] = 5
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    mode: Literal["required", "degrade"] = "required"


class SamplingRequest(_Strict):
    """Decoding settings that hold where the client gives none."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: list[str] | None = None
    seed: int | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None


class ReleaseRequest(_Strict):
    base_model: str | None = None
    adapter: str | None = None
    prompt: str | None = None
    retrieval: RetrievalRequest | None = None
    sampling: SamplingRequest = SamplingRequest()


class ReleaseMade(BaseModel):
    release: int
    fingerprint: str


class ReleaseShown(ReleaseMade):
    created_at: int
    spec: dict[str, Any]


class ReleaseList(BaseModel):
    data: list[ReleaseShown]


class RolloutRequest(_Strict):
    """`revision` is the one that was read (0 before the first); a newer one in between means 409."""

    stages: Annotated[list[StageShown], Field(min_length=1, max_length=10)]
    revision: int


class RollbackRequest(_Strict):
    revision: int


class RolloutShown(BaseModel):
    assistant: str
    stages: list[StageShown]
    revision: int
