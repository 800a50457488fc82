"""Texts → vectors: of the same embedder that documents are searched with."""

import math
from array import array
from base64 import b64encode
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from gateway.embeddings.schemas import EmbeddingCreate
from gateway.errors import BadRequest, NotFound, Unavailable
from retrieval.client import Retriever, RetrieverBusy, RetrieverFailed, RetrieverUnavailable, TextTooLong
from retrieval.messages import Embeddings, EmbedRequest, RetrieverInfo

__all__ = ["DEFAULT_MODEL", "EmbeddingService"]

DEFAULT_MODEL = "default"
"""A name for the embedder that stays when it is replaced; `GET /v1/models` lists its own."""

_AT_ONCE = 32
"""Texts of one call to the retriever: what waits for it is never behind more than that of one client."""


class EmbeddingService:
    """Embeds texts of clients."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def create(self, request: EmbeddingCreate, presence: AbstractContextManager[object]) -> bytes:
        """Embed the inputs as documents are, and return OpenAI's answer as JSON.

        Args:
            request: The request's body.
            presence: The block in which it is done; one that ends it when the client leaves.

        Raises:
            BadRequest: An input is no text, is empty or too long, or the vectors can't have so many dimensions.
            NotFound: It asks for another model.
            Unavailable: The retriever can't answer now.
        """
        texts = _read_texts(request.input)
        try:
            info = await self._retriever.describe()
            _check_model(request, info)
            vectors: list[bytes] = []
            tokens = 0
            with presence:
                for start in range(0, len(texts), _AT_ONCE):
                    some = await self._embed(texts[start : start + _AT_ONCE], start)
                    vectors += some.vectors
                    tokens += sum(some.tokens)
        except TextTooLong as error:
            raise BadRequest(str(error), param="input", code="context_length_exceeded") from error
        except RetrieverBusy as error:
            raise Unavailable(
                "Too many texts are being embedded. Try again in a moment.", retry_after=1, code="retriever_busy"
            ) from error
        except (RetrieverUnavailable, RetrieverFailed) as error:
            raise Unavailable(
                "The embedder doesn't answer now. Try again in a moment.", retry_after=2, code="retriever_unavailable"
            ) from error
        cut = None if request.dimensions in (None, info.dimensions) else request.dimensions
        data = [
            {"object": "embedding", "index": index, "embedding": _encode(vector, request.encoding_format, cut)}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.encode({"object": "list", "data": data, "model": info.model, "usage": usage})

    async def _embed(self, texts: list[str], first: int) -> Embeddings:
        return await self._retriever.embed(EmbedRequest(texts, first))


def _read_texts(value: str | list[Any]) -> list[str]:
    texts: list[Any] = [value] if isinstance(value, str) else value
    if any(isinstance(text, int | list) for text in texts):
        raise BadRequest(
            "The input is tokens, and those of one tokenizer mean nothing to another: this embedder has its own. Send "
            "the text (a client that cuts texts by tokens has an option for it, such as check_embedding_ctx_length).",
            param="input",
            code="tokens_unsupported",
        )
    for index, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise BadRequest(f"The input {index} is empty, or no text. Leave it out.", param="input")
    return texts


def _check_model(request: EmbeddingCreate, info: RetrieverInfo) -> None:
    if request.model not in (DEFAULT_MODEL, info.model, info.embedder):
        raise NotFound(
            f"The embedding model {request.model!r} isn't served here; {info.model!r} is, also as {DEFAULT_MODEL!r}.",
            param="model",
            code="model_not_found",
        )
    size = request.dimensions
    if size is None or size == info.dimensions or (size < info.dimensions and info.matryoshka):
        return
    reason = (
        f"has {info.dimensions} dimensions at most"
        if info.matryoshka
        else f"has {info.dimensions} dimensions, and its vectors can't be cut: it isn't known to be trained for it"
    )
    raise BadRequest(f"The embedding model {info.model!r} {reason}.", param="dimensions", code="dimensions_unsupported")


def _encode(vector: bytes, form: str, dimensions: int | None) -> Sequence[float] | str:
    """Return a vector as the client wants it; one that is cut to fewer dimensions is of length 1 again."""
    numbers = array("f", vector)
    if dimensions is not None:
        numbers = numbers[:dimensions]
        length = math.hypot(*numbers) or 1.0
        numbers = array("f", [number / length for number in numbers])
    return b64encode(numbers.tobytes()).decode() if form == "base64" else numbers.tolist()
