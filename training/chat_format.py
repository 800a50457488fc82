"""The form in which conversations reach a base model: the same for training rows, requests and their counts.

It follows from what the base's chat template does with a few conversations, never from the model's name.
"""

import re
from collections.abc import Mapping, Sequence, Set
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from training.chat_template import ChatTemplate, TemplateRefused
from training.checkpoint import read_special_tokens
from training.errors import TrainingError

__all__ = ["ChatFormat", "choose_format", "drop_empty_thought", "fold_system", "needs_folding", "read_chat_format"]

_GAP = "\n\n"
_SYSTEM = {"role": "system", "content": "Braidsystem"}
_TURNS = (
    {"role": "user", "content": "Firstquestion"},
    {"role": "assistant", "content": "Firstreply"},
    {"role": "user", "content": "Secondquestion"},
    {"role": "assistant", "content": "Secondreply"},
)
_MARK = "Braidmark"
_EMPTY_THOUGHT = re.compile(r"\s*[<\[](\w+)[>\]]\s*[<\[]/\1[>\]]")
_OPEN_THOUGHT = re.compile(r"[<\[]\w+[>\]]\s*$")
_CLOSED_THOUGHT = re.compile(r"\s*[<\[]/\w+[>\]]\s*")

Messages = Sequence[Mapping[str, Any]]


class ChatFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The form that a template asks for.

    Attributes:
        folds_system: The system text stands in the first user message, since the template has no place for it that
            stays the same from turn to turn.
        takes_parts: Contents reach the template as lists of parts.
        needs_system: A conversation without a system text would have the day's date in it.
        variables: The template's own names with their values (`chat_template_kwargs`): thoughts switched off, where
            no reply could be learnt with them, and the day that is printed as today.
    """

    folds_system: bool = False
    takes_parts: bool = False
    needs_system: bool = False
    variables: dict[str, Any] = {}

    def prepare(self, messages: Messages) -> list[dict[str, Any]]:
        """Return messages as the engine hands them to the template."""
        prepared = fold_system(messages) if self.folds_system else [dict(message) for message in messages]
        if self.takes_parts:
            for message in prepared:
                message["content"] = [{"type": "text", "text": message["content"]}]
        return prepared


def fold_system(messages: Messages) -> list[dict[str, Any]]:
    """Return messages with all system texts at the head of the first user's, where there is one."""
    systems = [message["content"] for message in messages if message["role"] == "system"]
    turns = [dict(message) for message in messages if message["role"] != "system"]
    first = next((turn for turn in turns if turn["role"] == "user"), None)
    if not systems or first is None:
        return [dict(message) for message in messages]
    first["content"] = _GAP.join(filter(None, [*systems, first["content"]]))
    return turns


def drop_empty_thought(text: str, reply: str) -> str:
    """Return what a template prints for a reply without the empty thought in front of it, if there is one.

    A template that prints it for a reply without thoughts leaves it out of the prompt, so a model would learn to write
    it, and clients would read it.
    """
    match = _EMPTY_THOUGHT.match(text)
    if match is None:
        return text
    rest = text[match.end() :]
    start = rest.find(reply)  # the reply may begin with white space of its own
    return rest[start:] if start >= 0 and not rest[:start].strip() else rest.lstrip()


def read_chat_format(directory: Path, day: date | None = None) -> ChatFormat:
    """Return the form that a checkpoint's template asks for.

    Args:
        directory: The checkpoint's folder.
        day: Is printed as today by templates that print it; None for this one.

    Raises:
        CheckpointUnreadable: A file of it is missing or damaged.
        TrainingError: `unsupported_chat_template`, see `choose_format`.
    """
    return choose_format(ChatTemplate.read(directory), read_special_tokens(directory).ends, day or date.today())


def choose_format(template: ChatTemplate, ends: Set[str], day: date) -> ChatFormat:
    """Return the form in which this template's replies can be learnt.

    Args:
        template: The base's.
        ends: The texts of the tokens at which the engine stops; empty where they aren't known.
        day: Is printed as today by templates that print it.

    Raises:
        TrainingError: `unsupported_chat_template`: there is none; the message names what the template does.
    """
    folds = needs_folding(template)
    switches = [{name: False} for name in sorted(template.variables) if "think" in name]
    obstacles: list[str] = []
    for switch in [{}, *switches]:
        obstacle = _find_obstacle(template, folds, ends, switch)
        if obstacle is None:
            return _pin_date(template, ChatFormat(folds_system=folds, variables=switch), day)
        obstacles.append(obstacle)
    raise _unsupported(obstacles[0])


def needs_folding(template: ChatTemplate) -> bool:
    """Tell whether the system text has to stand in the first user message.

    So it has where the template refuses it, leaves it out, or moves it from turn to turn, and takes it there.
    """
    conversations = [([_SYSTEM, *_TURNS[:1]], True), ([_SYSTEM, *_TURNS[:2]], False), ([_SYSTEM, *_TURNS[:3]], True)]
    return not all(_leads(template, messages, prompt) for messages, prompt in conversations) and all(
        _leads(template, fold_system(messages), prompt) for messages, prompt in conversations
    )


def _leads(template: ChatTemplate, messages: Messages, prompt: bool) -> bool:
    """Tell whether the system text is printed once, before the first question."""
    try:
        text = template.render(messages, prompt=prompt)
    except TemplateRefused:
        return False
    system, question = _SYSTEM["content"], _TURNS[0]["content"]
    return text.count(system) == 1 and text.find(system) < text.find(question)


def _find_obstacle(template: ChatTemplate, folds: bool, ends: Set[str], variables: Mapping[str, Any]) -> str | None:
    """Return the reason why a reply of a plain conversation can't be learnt; a turn that is refused is no reason."""
    head = [_SYSTEM]
    for start in (head, []):
        for count in (2, 4):
            messages: Messages = [*start, *_TURNS[:count]]
            messages = fold_system(messages) if folds else messages
            try:
                before = template.render(messages[:-1], prompt=True, variables=variables)
                through = template.render(messages, prompt=False, variables=variables)
            except TemplateRefused as error:
                if start and count == 2:
                    return f"refuses a question and a reply ({error})"
                continue
            obstacle = _compare(before, through, messages[-1]["content"], ends)
            if obstacle is not None:
                return obstacle
    return None


def _compare(before: str, through: str, reply: str, ends: Set[str]) -> str | None:
    """Return the reason why the reply in `through` isn't what the model would be asked for by the prompt `before`."""
    opened = _OPEN_THOUGHT.search(before)
    tag = opened[0].strip() if opened else ""
    thought = opened and f"opens a thought in the prompt for a reply ({tag}), and the rows' replies have none"
    if not through.startswith(before):
        return thought or "begins a reply in another way than its own generation prompt for one"
    lead, printed, tail = drop_empty_thought(through[len(before) :], reply).partition(reply)
    if not printed:
        return "doesn't print a reply as it is"
    if lead.strip():
        if opened and _CLOSED_THOUGHT.fullmatch(lead):
            return thought
        return f"writes {lead.strip()[:80]!r} in front of each reply, and clients would read it in every answer"
    if ends and not any(end in tail for end in ends):
        return (
            "ends a reply with no token at which the engine stops, so the adapter would never learn to stop; add its "
            "end-of-turn token to eos_token_id in generation_config.json"
        )
    return None


def _pin_date(template: ChatTemplate, format: ChatFormat, day: date) -> ChatFormat:
    """Return the format with the day's date as a value, where the template prints today's and takes another.

    Raises:
        TrainingError: It takes no other.
    """
    format = msgspec.structs.replace(format, takes_parts=template.takes_parts)
    dated = [start for start in ([_SYSTEM], []) if _print_prompt(template, format, start)[1]]
    if not dated:
        return format
    written = day.strftime(_print_prompt(template, format, dated[0])[1][0])
    for name in sorted(template.variables - format.variables.keys()):
        marked = msgspec.structs.replace(format, variables={**format.variables, name: _MARK})
        prompts = [_print_prompt(template, marked, start) for start in dated]
        if all(_MARK in text and not formats for text, formats in prompts):
            return msgspec.structs.replace(format, variables={**format.variables, name: written})
    if [_SYSTEM] in dated:
        raise _unsupported("prints today's date, so a prompt of tomorrow differs from what was learnt")
    return msgspec.structs.replace(format, needs_system=True)


def _print_prompt(template: ChatTemplate, format: ChatFormat, start: Messages) -> tuple[str, Sequence[str]]:
    """Return the prompt for a question, and the formats in which it asks for the date; empty where it is refused."""
    messages: Messages = [*start, _TURNS[0]]
    messages = fold_system(messages) if format.folds_system else messages
    try:
        text = template.render(messages, prompt=True, variables=format.variables)
    except TemplateRefused:
        return "", ()
    return text, template.date_formats


def _unsupported(obstacle: str) -> TrainingError:
    message = (
        f"The base model's chat template {obstacle}. Choose the model's version for instructions, or put a template "
        "that doesn't do this beside its weights as chat_template.jinja, which then serves and trains."
    )
    return TrainingError("unsupported_chat_template", message)
