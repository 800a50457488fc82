"""The spellings that a base model takes for more than text, by the files of its tokenizer and its chat template."""

import re
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Any

from training.chat_template import ChatTemplate, TemplateRefused
from training.checkpoint import read_special_tokens

__all__ = ["EXAMPLES", "read_markers", "select_tags"]

# Tokenizers add all kinds of texts that are no special tokens: runs of spaces, words, and HTML's elements (Gemma's).
# What is written like a tag, and isn't one of HTML's, structures a conversation: <tool_call>, <file>. So do thoughts,
# which stand in what clients and rows bring back of earlier replies, and templates look for them there to cut them.
_TAG = re.compile(r"[^\w\s▁](?=.*\w).*[^\w\s▁]", re.DOTALL)
_HTML = re.compile(
    r"</?(?:a|abbr|address|area|article|aside|audio|b|base|bdi|bdo|blockquote|body|br|button|canvas|caption|cite|code|"
    r"col|colgroup|data|datalist|dd|del|details|dfn|dialog|div|dl|dt|em|embed|fieldset|figcaption|figure|footer|form|"
    r"h[1-6]|head|header|hgroup|hr|html|i|iframe|img|input|ins|kbd|label|legend|li|link|main|map|mark|menu|meta|meter|"
    r"nav|noscript|object|ol|optgroup|option|output|p|param|picture|pre|progress|q|rp|rt|ruby|s|samp|script|search|"
    r"section|select|slot|small|source|span|strong|style|sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|"
    r"th|thead|time|title|tr|track|u|ul|var|video|wbr)\s*/?>"
)
_THOUGHT = re.compile(r"[<\[]/?\w*(?:think|thought|reason)\w*[>\]]", re.IGNORECASE)
_PLAIN = re.compile(f"{_HTML.pattern}|{_THOUGHT.pattern}", re.IGNORECASE)
_SYSTEM = {"role": "system", "content": "Be brief."}
_QUESTION = {"role": "user", "content": "How late is it?"}
_REPLY = {"role": "assistant", "content": "Noon."}
_CALL: dict[str, Any] = {"id": "call00001", "type": "function", "function": {"name": "clock", "arguments": {}}}
EXAMPLES: tuple[list[dict[str, Any]], ...] = (
    [_SYSTEM, _QUESTION, _REPLY, _QUESTION],
    [_QUESTION, _REPLY, _QUESTION],
    [_QUESTION, {"role": "assistant", "content": "", "tool_calls": [_CALL]},
     {"role": "tool", "name": "clock", "content": "12:00", "tool_call_id": _CALL["id"]}, _REPLY],
)  # fmt: skip
"""Conversations by which a template shows how it marks turns and calls of tools."""


def read_markers(directory: Path, find: Callable[[str], Set[str]]) -> tuple[str, ...] | None:
    """Return the spellings that a checkpoint takes for more than text, sorted; None where its files don't tell.

    These are the special tokens of its tokenizer, its other added tokens that are written like tags, and what its chat
    template prints as plain text for a turn's borders, such as Llama 2's `[INST]`.

    Args:
        directory: The checkpoint's folder.
        find: Returns the spellings in a text by which any known family of models marks turns.

    Raises:
        CheckpointUnreadable: A file of it is missing or damaged.
    """
    if not (directory / "tokenizer.json").is_file():
        return None  # of other formats of tokenizers, the files that we read list some of the tokens at most
    tokens, template = read_special_tokens(directory), ChatTemplate.read(directory)
    tags = select_tags(tokens.others)
    literals = find("\n".join([template.source, *_render(template)]))
    return tuple(sorted({text.strip() for text in tokens.texts | tags | literals} - {""}))


def select_tags(texts: Iterable[str]) -> set[str]:
    """Return those of some tokens' texts that are written like tags and structure a conversation."""
    stripped = (text.strip() for text in texts)
    return {text for text in stripped if _TAG.fullmatch(text) and not _PLAIN.fullmatch(text)}


def _render(template: ChatTemplate) -> list[str]:
    """Return what the template makes of a few conversations; of those that it refuses, nothing."""
    texts: list[str] = []
    for messages in EXAMPLES:
        try:
            texts.append(template.render(messages, prompt=messages[-1]["role"] == "user"))
        except TemplateRefused:
            continue
    return texts
