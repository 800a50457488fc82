"""The errors between a question and its passages, with one code each that travels over the socket."""

from typing import Literal

__all__ = [
    "DocumentUnreadable",
    "EmbedderOutOfMemory",
    "IndexChanged",
    "IndexFull",
    "IndexSilent",
    "IndexUnavailable",
    "InvalidFilter",
    "InvalidVisibility",
    "RetrieverBusy",
    "RetrieverError",
    "RetrieverFailed",
    "RetrieverSilent",
    "RetrieverUnavailable",
    "StaleWriter",
    "TextTooLong",
    "UnreadableCode",
]

UnreadableCode = Literal["unsupported_file", "invalid_file", "empty_file"]


class RetrieverError(Exception):
    """Base of all retrieval errors; `code` is stable, `str(error)` is a sentence for people."""

    code: str = "retriever_error"


class RetrieverUnavailable(RetrieverError):
    """The process isn't there, went away during the call, or stayed silent too long. Worth trying again."""

    code = "retriever_unavailable"


class RetrieverSilent(RetrieverUnavailable):
    """The process is there, or its machine is, and nothing came from it in time."""

    code = "retriever_silent"


class IndexUnavailable(RetrieverUnavailable):
    """The process is there, and the server that keeps its index isn't, or refuses it. Worth trying again."""

    code = "index_unavailable"


class IndexSilent(IndexUnavailable):
    """The server that keeps the index didn't answer in time."""

    code = "index_silent"


class IndexFull(IndexUnavailable):
    """The server that keeps the index has no room for more. Worth trying again when there may be some."""

    code = "index_full"


class RetrieverBusy(RetrieverError):
    """So many searches are under way that another would wait too long. Worth trying again in a moment."""

    code = "retriever_busy"


class IndexChanged(RetrieverError):
    """The call is about points of another index, embedder or keyword encoder than the one that runs now."""

    code = "index_changed"


class StaleWriter(RetrieverError):
    """Another worker has begun to change the store since: this one has lost its turn, and nothing was written."""

    code = "stale_writer"


class RetrieverFailed(RetrieverError):
    """A fault inside the retriever; its log has the traceback. Trying the same again is unlikely to help."""

    code = "retriever_failed"


class EmbedderOutOfMemory(RetrieverFailed):
    """The embedder's device has no memory for a single text, whatever it is."""


class InvalidFilter(RetrieverError):
    """An attribute filter that doesn't follow OpenAI's comparison and compound filters."""

    code = "invalid_filter"


class TextTooLong(RetrieverError):
    """A text to embed has more tokens than the embedder reads of one."""

    code = "text_too_long"


class InvalidVisibility(RetrieverError):
    """A call without a tenant or a store. Nothing is ever read or written without both."""

    code = "invalid_visibility"


class DocumentUnreadable(RetrieverError):
    """The bytes of a document can't become text. Permanent for these bytes.

    `code` is `unsupported_file` (another format), `invalid_file` (broken, encrypted or over a limit) or `empty_file`.
    """

    def __init__(self, code: UnreadableCode, message: str) -> None:
        super().__init__(message)
        self.code: UnreadableCode = code  # pyright: ignore[reportIncompatibleVariableOverride]  # never set again
