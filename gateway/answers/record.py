"""The record of what an answer was made of."""

from typing import Any, Literal

import msgspec

__all__ = ["AnswerRecord", "CitedPassage", "Counts", "Timings", "UncountedAnswer"]

Counts = Literal["pending", "known", "unknown"]


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
    `x-request-id` of the HTTP request and `key` the id of the key that asked, "" in records from before there were any.
    `usage` is the engine's; of an answer that didn't come to its end it is counted afterwards, from the prompt and the
    text that had come, and has no completion where none of a plain answer came. `filters` are the request's own.
    `rerank` is `off`, `done`, or `failed` where passages stand in the order of the search though the release asks for
    the reranker.
    `counts` says of all that is counted afterwards whether it still is `pending`, is `known`, or stays `unknown`.
    """

    id: str
    created: int
    key: str = ""
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
    filters: dict[str, Any] | None = None
    rerank: str = "off"
    counts: Counts = "known"


class UncountedAnswer(msgspec.Struct, frozen=True):
    """The material from which the tokens of an answer without usage are counted.

    `body` is what the engine was sent, `events` are the first of the events that came, and `total_events` is the
    number of all of them.
    """

    body: bytes
    events: tuple[bytes, ...] = ()
    total_events: int = 0
