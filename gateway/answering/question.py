"""The question that a face of the gateway asks, whatever format its client speaks."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

import prompts
from gateway.assistants.release import RetrievalSpec

__all__ = ["BraidOptions", "Message", "Question"]


class BraidOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Braid's own object in a request.

    `filters` narrow the documents that may answer, by their attributes; they can't widen what the release lets through,
    so that any key may send them. The others switch strands for a comparison, by a key with the scope `manage`.
    """

    adapter: bool = True
    retrieval: bool = True
    prompt: str | None = None
    filters: dict[str, Any] | None = None

    @property
    def switches(self) -> bool:
        """Whether a strand is switched, so that the answer is no longer the release's."""
        return not self.adapter or not self.retrieval or self.prompt is not None


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation as the engine takes it, its content flattened to text.

    `content` is None only where an assistant called tools and said nothing.
    """

    role: prompts.Role
    content: str | None
    name: str | UnsetType = UNSET
    tool_calls: list[dict[str, Any]] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET


class Question(msgspec.Struct, frozen=True):
    """One question to one model.

    Args:
        id: The answer's id, made by the face in its own format.
        model: The base model, an adapter, a pinned release, or an assistant.
        messages: The conversation, oldest first.
        parameters: Sampling and form of the answer, under the engine's names; they win over a release's own.
        stream: Whether the answer is read event by event instead of whole.
        structured: Whether the answer's form is prescribed, so that no citation marks can be asked for.
        is_json: Whether that form is JSON, which a program reads; beside tools an answer is text.
        conversation: A key that all questions of one conversation share; None lets its opening stand for it.
        options: Strands to switch.
        request_id: Of the request that asks it, for the answer's record.
        retrieval: Stores that the client names itself, searched instead of a release's.
        client_names: The client's names of the messages and of parameters, where they aren't the engine's.
    """

    id: str
    model: str
    messages: Sequence[Message]
    parameters: Mapping[str, Any]
    stream: bool = False
    structured: bool = False
    is_json: bool = False
    conversation: str | None = None
    options: BraidOptions | None = None
    request_id: str = ""
    retrieval: RetrievalSpec | None = None
    client_names: Mapping[str, str] = {}

    def name_for_client(self, param: str | None) -> str | None:
        """Return the name that the client has for what is at fault."""
        return param and self.client_names.get(param, param)

    @property
    def text(self) -> str:
        """The last user message, which passages are searched for; "" where there is none."""
        return next((m.content or "" for m in reversed(self.messages) if m.role == "user"), "")
