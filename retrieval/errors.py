"""The errors between a question and its passages, with one code each that travels over the socket."""

from typing import Literal

__all__ = [
    "DocumentUnreadable",
    "InvalidFilter",
    "InvalidVisibility",
    "RetrieverError",
    "RetrieverFailed",
    "RetrieverUnavailable",
    "UnreadableCode",
]

UnreadableCode = Literal["unsupported_file", "invalid_file", "empty_file"]


class RetrieverError(Exception):
    """Base of all retrieval errors; `code` is stable, `str(error)` is a sentence for people."""

    code: str = "retriever_error"


class RetrieverUnavailable(RetrieverError):
    """The process isn't there, went away during the call, or stayed silent too long. Worth trying again."""

    code = "retriever_unavailable"


class RetrieverFailed(RetrieverError):
    """A fault inside the retriever; its log has the traceback. Trying the same again is unlikely to help."""

    code = "retriever_failed"


class InvalidFilter(RetrieverError):
    """An attribute filter that doesn't follow OpenAI's comparison and compound filters."""

    code = "invalid_filter"


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
