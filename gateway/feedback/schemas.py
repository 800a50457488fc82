from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage

__all__ = [
    "Feedback",
    "FeedbackCreate",
    "FeedbackDeleted",
    "FeedbackList",
    "Rating",
    "Reason",
    "Reply",
    "TextMessage",
    "TextMessages",
    "Voter",
]

Rating = Literal["up", "down"]
Voter = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Reply = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]


class TextMessage(BaseModel):
    """A turn of text; turns with calls of tools can't be learnt from."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=65_536)]


TextMessages = Annotated[list[TextMessage], Field(min_length=1, max_length=64)]


class FeedbackCreate(NullsLeftOut):
    """A voter's feedback on an answer: a rating, another answer that it is better than, or the reply as it should be.

    `messages` is the conversation that was answered, `reply` the answer's text and `other_reply` that of the answer
    `preferred_over`: without them the vote counts, but nothing can be trained from it.
    """

    model_config = ConfigDict(extra="forbid")

    answer_id: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    rating: Rating | None = None
    preferred_over: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    reason: Reason | None = None
    corrected_reply: Reply | None = None
    voter: Voter | None = None
    messages: TextMessages | None = None
    reply: Reply | None = None
    other_reply: Reply | None = None


class Feedback(BaseModel):
    """`model` and `release` are those of the answer; `voter` is the key's id where the request named none.

    `key` is the id of the key that the vote was sent with last; null in votes from before it was kept.
    """

    id: str
    object: Literal["feedback"] = "feedback"
    created_at: int
    updated_at: int
    answer_id: str
    voter: str
    key: str | None
    model: str
    release: str | None
    rating: Rating | None
    preferred_over: str | None
    reason: str | None
    corrected_reply: str | None
    messages: list[TextMessage] | None
    reply: str | None
    other_reply: str | None


class FeedbackList(CursorPage[Feedback]):
    pass


class FeedbackDeleted(BaseModel):
    id: str
    object: Literal["feedback.deleted"] = "feedback.deleted"
    deleted: bool = True
