"""Text that others wrote, as a reader sees it; `prompts.markers` is about what a model sees in it."""

import re

__all__ = ["clean", "join_lines"]

# Nothing of this can be seen, and all of it can carry words that a reader of the document never saw: zero-width
# characters, direction overrides, variation selectors (bar emoji's own), tags, control characters, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# A page of a PDF ends with a form feed, a line within a paragraph of Word with a vertical tab: words are apart there.
_LINE_ENDS = "\x0b\x0c\x85\u2028\u2029"
_CONTROL = {c: "\n" if chr(c) in _LINE_ENDS else "" for c in (*range(0x20), 0x7F) if chr(c) not in "\t\n\r"}
# Persian, the scripts of India and joined emoji need the two joiners, one at a time, between characters beyond ASCII.
_BEYOND_ASCII = r"[^\x00-\x7f\s\u200c\u200d]"
_STRAY_JOINER = re.compile(
    rf"(?<!{_BEYOND_ASCII})[\u200c\u200d]+|[\u200c\u200d]{{2,}}|[\u200c\u200d](?!{_BEYOND_ASCII})"
)
_LEADING_MARK = re.compile(r"^([^\S\n]*)\[(\d{1,4})\]", re.MULTILINE)


def clean(text: str) -> str:
    """Return a document's `text` as a reader sees it: nothing invisible, one kind of line end, no outer space.

    A line that opens like a passage's own number, `[2]`, is written `(2)`: a document must not look like another one.
    Idempotent.
    """
    if text.isascii():
        text = text.translate(_CONTROL)
    else:
        for character in _LINE_ENDS:
            text = text.replace(character, "\n")
        text = _STRAY_JOINER.sub("", _INVISIBLE.sub("", text))
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.strip()
    if "[" in text:
        text = _LEADING_MARK.sub(r"\1(\2)", text)
    return text


def join_lines(text: str) -> str:
    """Return `text` cleaned, as one line: for titles, which must not be able to begin a paragraph of their own."""
    return " ".join(clean(text).split())
