"""The record of what an answer was made of."""

from typing import Any

import msgspec

__all__ = ["AnswerRecord", "CitedPassage", "Timings"]


class CitedPassage(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that was in the prompt, under its number; `cited` if the answer carries its mark.

    `start` and `end` are characters in the document's parsed text; `page` is the one that it begins on, from 1, and 0
    in a document without pages. `deleted` says that the document was deleted since: then `text` and `heading` are "".
    """

    number: int
    cited: bool
    score: float
    vector_store_id: str
    document_id: str
    document_key: str
    version: int
    index_epoch: int
    file_id: str
    filename: str
    heading: str
    start: int
    end: int
    text: str
    page: int = 0
    deleted: bool = False


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds since the request's arrival; `first_byte` is the engine's first."""

    retrieved: float | None
    composed: float
    first_byte: float
    total: float


class AnswerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: its release and index epochs can be replayed as a pair.

    `prompt_tokens` by part is counted after the answer, and None where no prompt of ours was used. `outcome` is
    `completed`, `interrupted` (the engine's stream broke) or `abandoned` (the client left). `request_id` is the
    `x-request-id` of the HTTP request, "" in records from before there was one.
    """

    id: str
    created: int
    model: str
    release: str | None
    fingerprint: str | None
    index_epochs: dict[str, int]
    retrieval: str
    passages: list[CitedPassage]
    dropped_passages: list[int]
    dropped_turns: int
    prompt_tokens: dict[str, int] | None
    replica: str
    timings: Timings
    usage: dict[str, Any] | None
    outcome: str
    stream: bool
    request_id: str = ""
