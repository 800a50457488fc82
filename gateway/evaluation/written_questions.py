"""Questions about passages that a model writes: what it is told, and what of its words is a question."""

import re

__all__ = ["ask_for_question", "clean_question"]

_LONGEST_PASSAGE = 1_200
"""Characters: a question is about one thing."""
_SHORTEST, _LONGEST = 12, 300
_INSTRUCTION = (
    "Below is a passage from a document. Write one short question that a user could ask and that this passage answers. "
    "Name the thing that it is about, and don't mention the passage or the document. Answer with the question alone, "
    "in one line, in the passage's language.\n\nTitle: {title}\n\nPassage:\n{text}\n\nQuestion:"
)
_LABEL = re.compile(r"^(?:question|user|answer|\d+[.)]|[-*])\s*:?\s+", re.IGNORECASE)
_ABOUT_ITSELF = re.compile(r"\b(?:this|the) (?:passage|text|document|excerpt|paragraph)\b", re.IGNORECASE)
_QUOTES = "\"'`*“”„«» "


def ask_for_question(title: str, text: str) -> str:
    """Return the message that asks a model for a question that a passage answers."""
    return _INSTRUCTION.format(title=title, text=text[:_LONGEST_PASSAGE])


def clean_question(answer: str) -> str | None:
    """Return the first line without labels and quotes; None where it is no question, or one about the passage."""
    line = next((line for line in map(str.strip, answer.splitlines()) if line), "")
    text = " ".join(_LABEL.sub("", line.strip(_QUOTES)).strip(_QUOTES).split())
    end = max(text.find("?"), text.find("？"), text.find("؟"))
    text = text[: end + 1]
    return text if _SHORTEST <= len(text) <= _LONGEST and not _ABOUT_ITSELF.search(text) else None
