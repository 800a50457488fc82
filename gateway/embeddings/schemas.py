from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.optional_members import NullsLeftOut

__all__ = ["CreateEmbeddingResponse", "Embedding", "EmbeddingCreate", "Usage"]

_MOST_INPUTS = 2_048


class EmbeddingCreate(NullsLeftOut):
    """`input` is a text, or up to 2,048 of them; lists of tokens are refused by the service, with the reason."""

    model_config = ConfigDict(extra="forbid")

    model: str
    input: str | Annotated[list[Any], Field(min_length=1, max_length=_MOST_INPUTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class Embedding(BaseModel):
    """A vector of length 1: numbers, or their 32-bit floats (little-endian) in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class CreateEmbeddingResponse(BaseModel):
    """OpenAI's list of embeddings, in the order of the inputs."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage
