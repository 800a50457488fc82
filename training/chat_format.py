"""The form in which conversations reach a base model: the same for training rows, requests and their counts.

It follows from what the base's chat template does with a few conversations, never from the model's name.
"""

from collections.abc import Iterator, Set
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from training.chat_template import ChatTemplate, TemplateRefused
from training.checkpoint import read_special_tokens
from training.printed_reply import SAMPLE, describe_addition, describe_change, find_rest
from training.thought import describe_lead, is_empty_thought
from training.turn import Messages, Render, TemplateUnlearnable, split_turn

__all__ = ["ChatFormat", "choose_format", "fold_system", "needs_folding", "read_chat_format"]

_GAP = "\n\n"
_SYSTEM = {"role": "system", "content": "Braidsystem"}
_TURNS = (
    {"role": "user", "content": "Firstquestion"},
    {"role": "assistant", "content": "Firstreply"},
    {"role": "user", "content": "Secondquestion"},
    {"role": "assistant", "content": "Secondreply"},
)
# Where a template writes thoughts by itself, one of its own names may switch them off, with a value such as these.
_SWITCHES = (False, True, 0, "none", "off")
# Two, so that any day differs from one of them in each part of its date, and of the time.
_OTHER_DAYS = (datetime(2001, 2, 3, 4, 5, 6), datetime(2002, 3, 5, 16, 7, 8))


class ChatFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The form that a template asks for.

    Attributes:
        folds_system: The system text stands in the first user message, since the template has no place for it that
            stays the same from turn to turn.
        takes_parts: Contents reach the template as lists of parts.
        needs_system: A conversation without a system text would have the day's date in it.
        variables: The template's own names with their values (`chat_template_kwargs`): thoughts switched off, where
            no reply could be learnt with them, and the day that is printed as today.
        empty_thought: The text in front of a reply without thoughts that isn't learnt, see `training.thought`.
    """

    folds_system: bool = False
    takes_parts: bool = False
    needs_system: bool = False
    variables: dict[str, Any] = {}
    empty_thought: str = ""

    def prepare(self, messages: Messages) -> list[dict[str, Any]]:
        """Return messages as the engine hands them to the template."""
        turns = fold_system(messages) if self.folds_system else [dict(message) for message in messages]
        if self.takes_parts:
            for message in turns:
                message["content"] = [{"type": "text", "text": message["content"]}]
        return turns


def fold_system(messages: Messages) -> list[dict[str, Any]]:
    """Return messages with all system texts at the head of the first user's, where there is one."""
    systems = [message["content"] for message in messages if message["role"] == "system"]
    turns = [dict(message) for message in messages if message["role"] != "system"]
    first = next((turn for turn in turns if turn["role"] == "user"), None)
    if not systems or first is None:
        return [dict(message) for message in messages]
    first["content"] = _GAP.join(filter(None, [*systems, first["content"]]))
    return turns


def read_chat_format(directory: Path) -> ChatFormat:
    """Return the form that the template of a checkpoint's folder asks for, as of today where it prints the day.

    Raises:
        CheckpointUnreadable: A file of it is missing or damaged.
        TemplateUnlearnable: See `choose_format`.
    """
    return choose_format(ChatTemplate.read(directory), read_special_tokens(directory).ends, date.today())


def choose_format(template: ChatTemplate, ends: Set[str], day: date) -> ChatFormat:
    """Return the form in which this template's replies can be learnt.

    Args:
        template: The base's.
        ends: The texts of the tokens at which the engine stops; empty where they aren't known.
        day: Is printed as today by templates that print it.

    Raises:
        TemplateUnlearnable: There is none; the message names what the template does.
    """
    format = ChatFormat(folds_system=needs_folding(template.render), takes_parts=template.takes_parts)
    obstacle: TemplateUnlearnable | None = None
    for variables in _list_switches(template):
        switched = msgspec.structs.replace(format, variables=variables)
        try:
            thought = _find_empty_thought(template, switched, ends)
        except TemplateUnlearnable as error:
            obstacle = obstacle or error
        else:
            return _pin_date(template, msgspec.structs.replace(switched, empty_thought=thought), day)
    assert obstacle is not None
    raise obstacle


def _list_switches(template: ChatTemplate) -> Iterator[dict[str, Any]]:
    yield {}
    names = sorted(template.variables, key=lambda name: ("think" not in name and "reason" not in name, name))
    for value in _SWITCHES:
        yield from ({name: value} for name in names)


def needs_folding(render: Render) -> bool:
    """Tell whether the system text has to stand in the first user message.

    So it has where the template refuses it, leaves it out, or moves it from turn to turn, and takes it there.
    """
    conversations = [([_SYSTEM, *_TURNS[:1]], True), ([_SYSTEM, *_TURNS[:2]], False), ([_SYSTEM, *_TURNS[:3]], True)]
    return not all(_leads(render, messages, prompt) for messages, prompt in conversations) and all(
        _leads(render, fold_system(messages), prompt) for messages, prompt in conversations
    )


def _leads(render: Render, messages: list[Any], prompt: bool) -> bool:
    """Tell whether the system text is printed once, before the first question."""
    try:
        text = render(messages, prompt=prompt)
    except TemplateRefused:
        return False
    system, question = _SYSTEM["content"], _TURNS[0]["content"]
    return text.count(system) == 1 and text.find(system) < text.find(question)


def _find_empty_thought(template: ChatTemplate, format: ChatFormat, ends: Set[str]) -> str:
    """Return the empty thought in front of the replies of plain conversations, "" where there is none.

    A turn that the template refuses is no obstacle.

    Raises:
        TemplateUnlearnable: A reply can't be learnt.
    """
    thoughts: set[str] = set()
    for start in ([_SYSTEM], []):
        for count in (2, 4):
            try:
                thoughts.add(_check_reply(template, format, [*start, *_TURNS[:count]], ends))
            except TemplateRefused as error:
                if start and count == 2:
                    raise TemplateUnlearnable(_describe_refusal(template, error)) from error
    thoughts.discard("")
    if len(thoughts) > 1:
        raise TemplateUnlearnable("writes another empty thought in front of each reply, and clients would read it")
    return thoughts.pop() if thoughts else ""


def _check_reply(template: ChatTemplate, format: ChatFormat, conversation: Messages, ends: Set[str]) -> str:
    """Return the empty thought in front of a conversation's last reply; raise where the reply can't be learnt."""

    def render(messages: list[Any], *, prompt: bool) -> str:
        messages = fold_system(messages) if format.folds_system else messages
        text = template.render(messages, prompt=prompt, variables=format.variables)
        if template.is_random:
            raise TemplateUnlearnable("picks something at random, so each prompt differs from what was learnt")
        return text

    reply = conversation[-1]["content"]
    turn = split_turn(render, conversation)
    lead, separator, tail = turn.text.partition(reply)
    if conversation[-2]["content"] not in turn.prompt:
        raise TemplateUnlearnable("leaves the last question out of the prompt")
    if not separator:
        raise TemplateUnlearnable("doesn't print a reply as it is")
    if lead.strip() and not is_empty_thought(render, conversation, lead):
        raise TemplateUnlearnable(describe_lead(render, conversation, turn.prompt, lead))
    thought = lead if lead.strip() else ""
    _check_tail(tail, ends)
    try:
        sample = split_turn(render, [*conversation[:-1], {**conversation[-1], "content": SAMPLE}])
    except TemplateRefused:
        return thought  # a row that has in it what the template refuses is named
    if find_rest(sample.text, SAMPLE, thought) is None:
        change = describe_change(sample.text, SAMPLE, empty_thought=thought, tail=tail)
        raise TemplateUnlearnable(f"{change}, and the adapter would learn it so")
    return thought


def _check_tail(tail: str, ends: Set[str]) -> None:
    """Raise if the model would never learn to stop, or would learn to write what the template adds to a reply."""
    stops = [tail.index(end) for end in ends if end in tail]
    if ends and not stops:
        raise TemplateUnlearnable(
            "ends a reply with no token at which the engine stops, so the adapter would never learn to stop; add its "
            "end-of-turn token to eos_token_id in generation_config.json"
        )
    if addition := describe_addition(tail[: min(stops, default=0)]):
        raise TemplateUnlearnable(f"{addition}, and clients would read it in every answer")


def _describe_refusal(template: ChatTemplate, error: TemplateRefused) -> str:
    if template.unknown_functions:
        names = ", ".join(f"{name}()" for name in template.unknown_functions)
        return (
            f"calls {names}, which neither transformers nor vLLM gives it, so that no request can be answered either "
            f"({error}); for today's date both know strftime_now('%d %B %Y')"
        )
    return f"refuses a question and a reply ({error})"


def _pin_date(template: ChatTemplate, format: ChatFormat, day: date) -> ChatFormat:
    """Return the format with the day's date as values, where the template prints today's and takes another.

    Raises:
        TemplateUnlearnable: It takes no other.
    """
    today, formats = _print_prompts(template, format, day)
    values = [day.strftime(one) for one in dict.fromkeys(formats)]
    for name in sorted(template.variables - format.variables.keys()) if values else ():
        format = _pin_name(template, format, day, name, values)
    today = _print_prompts(template, format, day)[0]
    dated = [any(other[at] != today[at] for other in _print_other_days(template, format)) for at in (0, 1)]
    if dated[0]:
        raise TemplateUnlearnable("prints today's date, so a prompt of tomorrow differs from what was learnt")
    return msgspec.structs.replace(format, needs_system=dated[1])


def _pin_name(template: ChatTemplate, format: ChatFormat, day: date, name: str, values: list[str]) -> ChatFormat:
    """Return the format with one of some values for a name that takes the day's date, else as it is.

    It does if this day's text stays as it is with the value, and other days' change; or if they become this day's.
    """
    today, others = _print_prompts(template, format, day)[0], _print_other_days(template, format)
    pinned = [msgspec.structs.replace(format, variables={**format.variables, name: value}) for value in values]
    texts = [(one, _print_prompts(template, one, day)[0], _print_other_days(template, one)) for one in pinned]
    same = [one for one, text, other_texts in texts if text == today and other_texts != others]
    fixed = [
        one for one, text, other_texts in texts if all(text == other for other in other_texts) and other_texts != others
    ]
    return [*same, *fixed, format][0]


def _print_other_days(template: ChatTemplate, format: ChatFormat) -> list[list[str]]:
    return [_print_prompts(template, format, day)[0] for day in _OTHER_DAYS]


def _print_prompts(template: ChatTemplate, format: ChatFormat, day: date) -> tuple[list[str], list[str]]:
    """Return the prompts for a question with and without a system text, and the formats in which they ask for the date.

    The prompt is empty where the template refuses it.
    """
    texts: list[str] = []
    formats: list[str] = []
    for start in ([_SYSTEM], []):
        messages: Messages = [*start, *_TURNS[:3]]
        messages = fold_system(messages) if format.folds_system else messages
        try:
            texts.append(template.render(messages, prompt=True, day=day, variables=format.variables))
        except TemplateRefused:
            texts.append("")
        else:
            formats += template.date_formats
    return texts, formats
