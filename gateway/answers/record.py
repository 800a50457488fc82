"""The record of what an answer was made of."""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

__all__ = [
    "AnswerRecord",
    "CitedPassage",
    "Counts",
    "SearchDecision",
    "Timings",
    "UncountedAnswer",
    "digest_conversation",
]

Counts = Literal["pending", "known", "unknown"]


class CitedPassage(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that was in the prompt, under its number; `cited` if the answer carries its mark.

    `start` and `end` are characters in the document's parsed text; `page` is the one that it begins on, from 1, and 0
    in a document without pages. A `copy` says the same as the passage under the same number, and its document is a
    source of the answer as well. `score` is the search's, `boost` the factor that it was ranked with, and `neighbours`
    the number of chunks of the document that the text was extended by. `deleted` says that the document was deleted
    since: then `text` and `heading` are "".
    `withdrawn` says why it isn't cited though the answer carries its mark: its document was `deleted` while the answer
    was made, or stays `unchecked`, since the database couldn't tell in time whether it is there.

    `lead` and `tail` are characters of `text` before and behind what is between the offsets: the head of a table or of
    code, and its end, which are repeated where the passage is cut from the middle. The rest is exactly that part of the
    parsed text, but for white space between chunks that were joined (`neighbours`).
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
    copy: bool = False
    boost: float = 1.0
    neighbours: int = 0
    lead: int = 0
    tail: int = 0
    deleted: bool = False
    withdrawn: str = ""


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds since the request's arrival; `first_byte` is the engine's first."""

    retrieved: float | None
    composed: float
    first_byte: float
    total: float


class SearchDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions on whether to search for a turn, and for what.

    `kind` of the turn is `question`, `follow_up` or `small_talk`, `rule` is the one that told so. `rewriting` is `off`
    (the release doesn't ask for it), `not_needed`, or the outcome: `rewritten`, `unchanged`, `unusable`, `too_long`,
    `timed_out`, `no_engine`. `queries` are the texts that were searched for: none for small talk. Both times are in
    milliseconds; `rewriting_ms` is None where the engine wasn't asked.
    """

    kind: str
    rule: str
    searched: bool
    rewriting: str
    queries: list[str]
    decision_ms: float
    rewriting_ms: float | None = None


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
    `retrieval_problem` is the code of the error for which `retrieval` is `unavailable`, such as `retriever_timeout`.
    `search` is None where no release with stores was asked.
    `messages_digest` is the SHA-256 of what the client sent, "" in records from before there was any.
    `answer_probability` is that of an answer in what was found, None where nothing was; `calibrations` are the versions
    of those of the stores that have their own, by store.
    """

    id: str
    created: int
    key: str = ""
    model: str
    release: str | None
    fingerprint: str | None
    index_epochs: dict[str, int]
    retrieval: str
    retrieval_problem: str = ""
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
    search: SearchDecision | None = None
    answer_probability: float | None = None
    calibrations: dict[str, int] = {}
    messages_digest: str = ""


def digest_conversation(turns: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 of a conversation's roles and texts, in hex; a developer's words are the system's."""
    plain = [("system" if role == "developer" else role, text) for role, text in turns]
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()


class UncountedAnswer(msgspec.Struct, frozen=True):
    """The material from which the tokens of an answer without usage are counted.

    `body` is what the engine was sent, `events` are the first of the events that came, and `total_events` is the
    number of all of them.
    """

    body: bytes
    events: tuple[bytes, ...] = ()
    total_events: int = 0
