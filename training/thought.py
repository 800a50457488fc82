"""Thoughts in chat templates: the empty one that a template prints for a reply without any, and the one it opens.

They are told from other text by what the template does with a thought, and by how two marks are written, never by a
list of their names.
"""

import re
from collections.abc import Iterator, Sequence

from training.chat_template import TemplateRefused
from training.turn import Messages, Render, TemplateUnlearnable, describe_opening, split_turn

__all__ = ["describe_lead", "is_empty_thought", "is_pair", "list_borders"]

_THOUGHT = "Braidthought"
# The members of a message by which templates take a thought; vLLM hands on the first two.
_MEMBERS = ("reasoning", "reasoning_content", "thinking", "thought")
_MARK = r"[<\[◁]([^\s<>\[\]◁▷]+)[>\]▷]"
_PAIR = re.compile(rf"\s*{_MARK}\s*{_MARK}\s*")
_OPENS = re.compile(r"begin|start|open|prefix", re.IGNORECASE)
_CLOSES = re.compile(r"/|end|close|stop|suffix", re.IGNORECASE)
_LONGEST_MARK = 60


def is_empty_thought(render: Render, conversation: Messages, lead: str) -> bool:
    """Tell whether the text that a template prints in front of a plain reply is a thought with nothing in it.

    A template that prints it for a reply without thoughts leaves it out of the prompt, so a model would learn to write
    it, and clients would read it.

    Args:
        render: By the template.
        conversation: Ends with a plain reply.
        lead: The text between the prompt for it and the reply.
    """
    marks = lead.strip()
    thoughts = [marks[:at] + _THOUGHT + marks[at:] for at in list_borders(marks)]
    return _takes(render, conversation, lead) or _cuts(render, conversation, "", thoughts) or is_pair(lead)


def list_borders(marks: str) -> list[int]:
    """List where the first of two marks may end and a thought between them stand."""
    return [at for at in range(1, min(len(marks), 2 * _LONGEST_MARK)) if not marks[at - 1].isalnum()]


def is_pair(text: str) -> bool:
    """Tell whether a text is two marks, the second of which closes what the first opens: `<a></a>`, `<|begin_of_a|>`…

    For templates that know no thoughts, and print the marks as they would any other text.
    """
    match = _PAIR.fullmatch(text)
    return match is not None and match[1] != match[2] and _OPENS.sub("", match[1]) == _CLOSES.sub("", match[2])


def describe_lead(render: Render, conversation: Messages, prompt: str, lead: str) -> str:
    """Return why replies behind `lead`, which isn't an empty thought, can't be learnt."""
    for opening in _list_ends(prompt):
        if is_pair(opening + lead) or _cuts(render, conversation, opening, [_THOUGHT + lead.strip()]):
            return describe_opening(opening)
    problem = f"writes {lead.strip()[:80]!r} in front of each reply, and clients would read it in every answer"
    if prompt == render([*conversation[:-1]], prompt=False):
        return f"has no prompt for a reply (add_generation_prompt changes nothing): it {problem}"
    return problem


def _takes(render: Render, conversation: Messages, lead: str) -> bool:
    """Tell whether the template prints a thought in a member of its own within `lead`."""
    *history, reply = conversation
    output = _print_lead(render, [*history, {**reply, **dict.fromkeys(_MEMBERS, _THOUGHT)}], reply["content"])
    return output.count(_THOUGHT) == 1 and _squeeze(output.replace(_THOUGHT, "")) == _squeeze(lead)


def _cuts(render: Render, conversation: Messages, opening: str, thoughts: Sequence[str]) -> bool:
    """Tell whether the template knows one of some texts, behind `opening` in the reply's own, for a thought."""
    *history, reply = conversation
    text = reply["content"]
    conversations = [[*history, {**reply, "content": f"{opening.strip()}{thought}{text}"}] for thought in thoughts]
    return any(
        _squeeze(_print_lead(render, messages, text)) == _squeeze(thought)
        for messages, thought in zip(conversations, thoughts, strict=True)
    )


def _print_lead(render: Render, conversation: Messages, reply: str) -> str:
    try:
        return split_turn(render, conversation).text.rpartition(reply)[0]
    except (TemplateUnlearnable, TemplateRefused):
        return ""


def _list_ends(prompt: str) -> Iterator[str]:
    """List the ends of a prompt that begin like a mark, the shortest first."""
    for at in range(len(prompt) - 1, max(len(prompt) - _LONGEST_MARK, -1), -1):
        if prompt[at] in "<[◁":
            yield prompt[at:]


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)
