"""HTML comments, which no page shows: told of where what they say could be meant for a model that reads the source."""

import re
from collections.abc import Iterable

__all__ = ["describe_comments"]

_WORD = r"[^\W\d_](?:[^\W\d_]|['’-])*[.,:!?]?"
_SENTENCE = re.compile(rf"(?<![^\s(\"“]){_WORD}(?:\s+{_WORD}){{7,}}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{{16,}}")
"""Eight words in a row with nothing but blanks and a sentence's marks between them; of scripts without blanks, sixteen
characters. Switched-off markup, code, conditions for old browsers and editors' marks have none."""


def describe_comments(comments: Iterable[str]) -> str:
    """Say in a sentence how much was left out of comments that have words in a row; "" where none has."""
    characters = sum(len(comment.strip()) for comment in comments if _SENTENCE.search(comment))
    return f"{characters} characters of text in comments were left out." if characters else ""
