"""A reply in a chat template's text: the prompt for it, and what a model has to write behind that prompt.

Both follow from renderings of a conversation with and without the reply. The engine only ever sees the first, so a
template may move, add or leave out what it likes in earlier turns, as long as the reply itself stands behind the
generation prompt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from training.errors import TrainingError

__all__ = ["LastReply", "Messages", "Render", "TemplateUnlearnable", "describe_opening", "split_turn"]

Messages = Sequence[Mapping[str, Any]]

_QUESTION, _REPLY = "Braidquestion", "Braidreply"
_MARK = re.compile(r"\s*[<\[◁][^\s<>\[\]]+[>\]▷]")
_OTHER_WAY = "begins a reply in another way than its own generation prompt for one"


class Render(Protocol):
    """Renders a conversation by a chat template; `prompt` ends it with what asks the model for a reply."""

    def __call__(self, messages: list[Any], /, *, prompt: bool) -> str: ...


class TemplateUnlearnable(TrainingError):
    """A base model's chat template does something by which its replies can't be learnt.

    Args:
        obstacle: What it does, as the end of a sentence that begins with the template.
    """

    def __init__(self, obstacle: str) -> None:
        super().__init__(
            "unsupported_chat_template",
            f"The base model's chat template {obstacle}. Choose the model's version for instructions, or put a "
            "template that doesn't do this beside its weights as chat_template.jinja, which then serves and trains.",
        )


@dataclass(frozen=True, slots=True)
class LastReply:
    """The last reply of a conversation.

    Attributes:
        prompt: All that the engine reads before it.
        text: What the template prints behind that: the reply, with what it puts before and after it.
    """

    prompt: str
    text: str


def split_turn(render: Render, conversation: Messages) -> LastReply:
    """Cut a conversation's text before what the model has to write for the last message, a reply.

    Raises:
        TemplateUnlearnable: The template's generation prompt isn't how it begins a reply.
    """
    prompt, whole = render([*conversation[:-1]], prompt=True), render([*conversation], prompt=False)
    if whole.startswith(prompt):
        return LastReply(prompt, whole[len(prompt) :])
    if len(conversation) < 2:
        raise TemplateUnlearnable(_OTHER_WAY)
    # It prints something in earlier turns in another way once there is a reply: an instruction in the last question,
    # the last few turns alone. The reply's own turn may be the same nevertheless.
    start, lead = _find_header(render, conversation)
    prompt_text = render([*conversation[:-1], {**conversation[-1], "content": _REPLY}], prompt=False)
    head = prompt_text.rpartition(_REPLY)[0]
    if not (head and whole.startswith(head) and prompt.endswith(start)):  # the texts decide on what is around them
        raise TemplateUnlearnable(_OTHER_WAY)
    return LastReply(prompt, whole[len(head) - len(lead) :])


def describe_opening(text: str) -> str:
    """Return why replies can't be learnt whose prompt ends with a text that they haven't at their beginning."""
    opening = text.strip()[-80:]
    if _MARK.match(text):
        return f"opens a thought in the prompt for a reply ({opening}), and the rows' replies have none"
    return f"begins a reply with {opening!r} in its prompt for one, and the rows' replies don't begin so"


def _find_header(render: Render, conversation: Messages) -> tuple[str, str]:
    """Return what the template prints between a question and its reply: up to the prompt's end, and from there."""
    *history, question, reply = conversation
    start = [*history, {**question, "content": _QUESTION}]
    prompt = render(start, prompt=True)
    whole = render([*start, {**reply, "content": _REPLY}], prompt=False)
    _, before, opening = prompt.rpartition(_QUESTION)
    _, after, rest = whole.rpartition(_QUESTION)
    header, end, _ = rest.partition(_REPLY)
    if not (before and after and end):
        raise TemplateUnlearnable("prints a question in another way, or no more, once it has a reply")
    plain = render(start, prompt=False)
    least = len(prompt) - len(plain) if prompt.startswith(plain) else len(opening)
    shared = max(size for size in range(len(header) + 1) if opening.endswith(header[:size]))
    if shared == len(header) or shared >= least:
        return header[:shared], header[shared:]
    if header in opening:
        raise TemplateUnlearnable(describe_opening(opening.rpartition(header)[2]))
    raise TemplateUnlearnable(_OTHER_WAY)
