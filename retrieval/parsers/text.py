"""Plain text: the characters of it that a reader can see."""

import re
from collections.abc import Iterable

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed_document import Block, FileContent, ParsedDocument, ParseLimits

__all__ = ["clean", "clean_visible", "describe_comments", "describe_invisible", "parse_text"]

_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x85\u2028\u2029]")  # a vertical tab ends a line within a paragraph of Word's

# What colours a terminal's text, moves its cursor or names its window: without the escape it would be read as text.
_TERMINAL = re.compile("\x1b(?:\\[[0-?]{0,64}[ -/]{0,8}[@-~]|\\][^\x07\x1b\n]{0,999}(?:\x07|\x1b\\\\))")

# Zero-width (bar joiners), bidirectional and tag characters hide instructions from people but not from a model; other
# control characters only break prompts, and a surrogate alone is no character. Tab, line feed and form feed (a page's
# end) stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff\ud800-\udfff\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)

# Persian, the scripts of India and joined emoji are written with the two joiners, one at a time, between characters
# beyond ASCII; the prompts keep the same ones.
_BEYOND_ASCII = r"[^\x00-\x7f\s\u200c\u200d]"
_STRAY_JOINER = re.compile(
    rf"(?<!{_BEYOND_ASCII})[\u200c\u200d]+|[\u200c\u200d]{{2,}}|[\u200c\u200d](?!{_BEYOND_ASCII})"
)

_WRITING = re.compile("[\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]{8,}|[\U000e0000-\U000e007f]{8,}")
_MEANT = {
    **dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True)),
    **{code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)},
}
"""Letters for Latin ligatures; and for control characters that nobody writes, such as U+0092, what Windows-1252 has in
their places: a program took it for Latin-1."""
_DATA_URI = re.compile(
    r"\bdata:(?:[\w.+-]{1,80}/[\w.+-]{1,80})?(?:;[\w.+-]{1,80}(?:=[\w.+-]{1,80})?){0,8},[^\s\"'<>()\[\]]{32,}", re.I
)


_CALENDAR = re.compile(r"\s*BEGIN:(?:VCALENDAR|VCARD)\b", re.I)
_FOLD = re.compile(r"\n[ \t]")
_ESCAPE = re.compile(r"\\([,;\\nN])")
_BOUND = re.compile(r"^(BEGIN|END):(VEVENT|VTODO|VJOURNAL|VCARD)[ \t]*$", re.M | re.I)
_ZONE = re.compile(r"^(?P<bound>BEGIN|END):VTIMEZONE[ \t]*(?:\n|\Z)", re.M | re.I)
_MOMENTS = re.compile(
    r"^(?:DTSTART|DTEND|DTSTAMP|DUE|EXDATE|RDATE|RECURRENCE-ID|COMPLETED|CREATED|LAST-MODIFIED|BDAY|ANNIVERSARY|REV)"
    r"(?:;[^:\n]*)?:.*$|^RRULE:.*$",
    re.M | re.I,
)
_MOMENT = re.compile(r"(?<=[:,=/])(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z)?)?(?=[,;/]|$)", re.M)

_WORD = r"[^\W\d_](?:[^\W\d_]|['’-])*[.,:!?]?"
_SENTENCE = re.compile(rf"(?<![^\s(\"“]){_WORD}(?:\s+{_WORD}){{7,}}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{{16,}}")
"""Of a comment: eight words in a row with nothing but blanks and a sentence's marks between them; of scripts without
blanks, sixteen characters. Switched-off markup, code, conditions for old browsers and editors' marks have none."""


def clean(text: str) -> str:
    """Leave one kind of line end, the characters that are meant, and none that a reader doesn't see."""
    text = _LINE_ENDS.sub("\n", text)
    text = _INVISIBLE.sub("", _TERMINAL.sub("", text) if "\x1b" in text else text)
    return text if text.isascii() else _STRAY_JOINER.sub("", text).translate(_MEANT)


def describe_invisible(text: str) -> str:
    """Describe as a sentence what `clean` takes out that can only be there to be read by a model; "" if nothing is.

    A few are the traces of editors or a flag's, many in a row are writing.
    """
    count = sum(map(len, _WRITING.findall(text)))
    return f"{count} invisible characters (Unicode tags, zero-width) were left out." if count else ""


def describe_comments(comments: Iterable[str]) -> str:
    """Describe as a sentence how much was left out of HTML comments that have words in a row; "" where none has.

    No page shows them, but a model that reads the source would obey what they say.
    """
    characters = sum(len(comment.strip()) for comment in comments if _SENTENCE.search(comment))
    return f"{characters} characters of text in comments were left out." if characters else ""


def clean_visible(text: str) -> str:
    """Clean text that must not be empty then; of the data inside a `data:` URI nothing is left.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    visible = _DATA_URI.sub("data:", clean(text))
    if not visible.strip():
        raise DocumentUnreadable("empty_file", "The file holds no visible text. Upload one with content.")
    return visible


def parse_text(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Take the text as it is: it has no structure beyond its blank lines, but for that of calendars and contacts.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    text = clean_visible(content.text)
    if not _CALENDAR.match(text):
        return ParsedDocument(content.media_type, "", text, [])
    text = _MOMENTS.sub(lambda line: _MOMENT.sub(_show_moment, line[0]), _drop_zones(_unfold(text)))
    return ParsedDocument(content.media_type, "", text, [], blocks=_find_records(text))


def _drop_zones(text: str) -> str:
    """Leave out how a calendar's time zones change, which no reader sees: events name their zones."""
    parts: list[str] = []
    at = 0
    start: int | None = None
    for bound in _ZONE.finditer(text):
        if bound["bound"].upper() == "BEGIN":
            start = bound.start()
        elif start is not None:
            if _BOUND.search(text, start, bound.start()) is None:
                parts.append(text[at:start])
                at = bound.end()
            start = None
    return "".join(parts) + text[at:]


def _show_moment(moment: re.Match[str]) -> str:
    """Write a moment as people read it: `20260512T090000Z` is `2026-05-12 09:00 UTC`."""
    year, month, day, hour, minute, zone = moment.groups()
    time = f" {hour}:{minute}" if hour else ""
    return f"{year}-{month}-{day}{time}{' UTC' if zone else ''}"


def _find_records(text: str) -> list[Block]:
    """Find the events and contacts: each stays whole where it fits."""
    blocks: list[Block] = []
    start: int | None = None
    for bound in _BOUND.finditer(text):
        if bound[1].upper() == "BEGIN":
            start = bound.start()
        elif start is not None:
            blocks.append(Block(start, bound.end(), "record", start))
            start = None
    return blocks


def _unfold(text: str) -> str:
    """Join the lines of a calendar or a contact, which break in the middle of words, and write what they escape."""
    return _ESCAPE.sub(lambda match: " " if match[1] in "nN" else match[1], _FOLD.sub("", text))
