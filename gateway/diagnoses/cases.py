"""The cases of a diagnosis: questions whose answers failed, and others whose answers passed, which must stay right."""

from typing import Any, Literal

import msgspec

from gateway.answering.question import Message

__all__ = ["Case", "DiagnosisInputs", "DiagnosisOptions", "Strand"]

Strand = Literal["documents", "retrieval", "prompt", "style", "base", "unknown"]
"""The part at fault: no document says it; one does and wasn't in the prompt; the template; the adapter; the base."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One question with what is known of its answer.

    Attributes:
        id: Its place in its source, such as `evalrun_1:12`.
        messages: The conversation up to the question.
        answer: The answer that was judged, "" where it isn't known.
        reference: The reply that would have been right, or a vote's correction.
        expected: Texts that a right answer has, beside the reference's own values.
        reason: Why it failed, in the words of a vote or a criterion.
        answer_id: The answer's record, from which the next three are.
        answered_by: The release that answered, as `name@number`.
        index_epochs: The stores' versions by then.
        filters: The request's own.
    """

    id: str
    messages: list[Message]
    answer: str = ""
    reference: str = ""
    expected: list[str] = []
    reason: str = ""
    answer_id: str = ""
    answered_by: str = ""
    index_epochs: dict[str, int] = {}
    filters: dict[str, Any] | None = None

    @property
    def question(self) -> str:
        """The last user message."""
        return next((one.content or "" for one in reversed(self.messages) if one.role == "user"), "")


class DiagnosisOptions(msgspec.Struct, frozen=True):
    """`samples` answers are asked for of each variant, and twice as many where they don't decide."""

    samples: int
    propose: bool


class DiagnosisInputs(msgspec.Struct, frozen=True):
    """All cases, as they are kept for the job."""

    failures: list[Case]
    passes: list[Case]
