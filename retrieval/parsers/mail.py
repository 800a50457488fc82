"""E-mail → text: subject, people, date, the body, and attachments by the parsers of their formats."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import CharsetError, HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.encodings import decode_declared, decode_legacy, decode_unicode
from retrieval.parsers.formats import MAILBOX_LINE
from retrieval.parsers.html import parse_html
from retrieval.parsers.mail_envelopes import open_envelopes, read_bytes
from retrieval.parsers.ocr import OcrMissing
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.sniff import sniff
from retrieval.parsers.text import clean
from retrieval.parsers.text_writer import TextWriter, join_words

__all__ = ["parse_mail"]

_SEPARATOR = re.compile(rf"(?:\A|\n){MAILBOX_LINE}".encode(), re.I)
_LENGTH = re.compile(rb"(\d{1,10}) *\n")
"""Of a message, which Apple Mail writes before it; behind it are its own notes."""
_FIRST_HEADERS = ("from", "to", "cc", "date")
_OF_PROGRAMS = re.compile(
    r"(?:x|list|resent|arc|dkim|domainkey|content|thread|received|authentication|auto|delivered|envelope|original|return"
    r"|mime|message|in-reply|reply|errors|disposition|feedback|ms|accept|user|mailing|archived|require|tls)-.*"
    r"|received|references|sender|bcc|status|lines|precedence|importance|priority|sensitivity|xref|path|subject",
    re.I,
)
"""Headers that aren't shown: a message's way, its parts, and programs' marks. Others may be somebody's words."""

_QUOTE = re.compile(r"(?:>[ \t]?)+")
_TEXTS = frozenset(("text/plain", "text/html", "text/markdown", "text/x-markdown", "text/enriched", "text/richtext"))
_SIGNATURES = frozenset(("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"))
_CALENDARS = frozenset(("text/calendar", "application/ics"))
_FEW_WORDS = 60
_TIMES = 3
"""A plain text of so few words is none, where the same as HTML has more than so many times as many words."""
_DEEPEST_PART = 50
_DEEPEST = 5
_MOST_ATTACHMENTS = 200


def parse_mail(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take a message, or the messages of a mailbox.

    What a message in a mailbox quotes of those before it is left out; a single message keeps its quotes.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    reader = _Reader(limits)
    data = content.data.removeprefix(BOM_UTF8).lstrip()
    if length := _LENGTH.match(data):
        data = data[length.end() :][: int(length[1])]
    separators = list(_SEPARATOR.finditer(data)) if data.startswith(b"From ") else []
    if not separators:
        subject = reader.add(_read_message(data), 1)
        return reader.writer.finish("message/rfc822", subject)
    ends = [match.start() for match in separators[1:]] + [len(data)]
    for match, end in zip(separators, ends, strict=True):
        message = re.sub(rb"^>(>*From )", rb"\1", data[match.end() : end], flags=re.M)
        try:
            reader.add(_read_message(message), 1)
        except DocumentUnreadable as error:
            reader.writer.warnings.append(f"A message was left out. {error}")
    return reader.writer.finish("application/mbox")


def _read_message(data: bytes) -> Message:
    """Read a message with its parts.

    Raises:
        DocumentUnreadable: Hundreds of messages are in each other: `email` reads each in a call of its own.
    """
    try:
        return message_from_bytes(data)
    except RecursionError as error:
        raise DocumentUnreadable(
            "invalid_file", "Its messages are in each other, too deep to be read. Save the inner ones as files."
        ) from error


class _Reader:
    """Messages as they are read.

    Attributes:
        depth: Of messages in messages.
    """

    def __init__(self, limits: ParseLimits, depth: int = 0) -> None:
        self.writer = TextWriter()
        self._limits = limits
        self._depth = depth
        self._paragraphs: set[str] = set()
        self._attachments_left = _MOST_ATTACHMENTS

    def add(self, message: Message, level: int) -> str:
        """Add a message, and return its subject."""
        self.writer.warnings += open_envelopes(message)
        headers = [(name, words) for name, value in message.raw_items() if (words := _read_header(str(value)))]
        subject = next((words for name, words in headers if name.lower() == "subject"), "")
        self.writer.add_heading(subject or "Message without a subject", level)
        people = [(name, words) for name, words in headers if not _OF_PROGRAMS.fullmatch(name)]
        people.sort(key=lambda header: (*_FIRST_HEADERS, header[0].lower()).index(header[0].lower()))
        self.writer.add_paragraph("\n".join(f"{name}: {words}" for name, words in people))
        for text in _list_texts(message):
            self._add_body(text, level)
        for part in _iterate_attachments(message):
            self._add_attachment(part, level + 1)
        return subject

    def _add_body(self, part: Message, level: int) -> None:
        try:
            text = _decode(part)
            if part.get_content_subtype() == "html":
                self.writer.add_document(parse_html(FileContent(b"", "text/html", text), self._limits), level)
            else:
                self.writer.add_paragraph(self._drop_quotes(_unwrap(part, text)))
        except DocumentUnreadable as error:
            self.writer.warnings.append(f"The message's body can't be read. {error}")

    def _add_attachment(self, part: Message, level: int) -> None:
        name = _read_header(part.get_filename() or "") or part.get_content_type()
        if self._attachments_left == 0 or self._depth >= _DEEPEST:
            self.writer.warnings.append(f"The attachment {name!r} was left out: there are too many, or too deep.")
            return
        self._attachments_left -= 1
        try:
            document = self._parse(part, name)
        except DocumentUnreadable as error:
            self.writer.lacks_ocr = self.writer.lacks_ocr or isinstance(error, OcrMissing)
            self.writer.warnings.append(f"The attachment {name!r} was left out. {error}")
            return
        self.writer.add_heading(f"Attachment: {name}", level)
        self.writer.add_document(document, level)

    def _parse(self, part: Message, name: str) -> ParsedDocument:
        if part.get_content_type() == "message/rfc822":
            inner = _Reader(self._limits, self._depth + 1)
            subject = inner.add(part.get_payload(0), 1) if part.is_multipart() else ""  # pyright: ignore[reportArgumentType]
            return inner.writer.finish("message/rfc822", subject)
        format_, content = sniff(read_bytes(part), name)
        if format_.kind == "email":
            inner = _Reader(self._limits, self._depth + 1)
            inner.add(_read_message(content.data), 1)
            return inner.writer.finish("message/rfc822")
        return format_.load_parser()(content, self._limits)

    def _drop_quotes(self, text: str) -> str:
        """Leave out quoted lines that an earlier message has; remember this one's."""
        lines: list[str] = []
        for line in text.split("\n"):
            quote = _QUOTE.match(line)
            words = join_words(line[quote.end() :] if quote else line)
            if quote is None or (words and words not in self._paragraphs):
                lines.append(line)
            if quote is None and words:
                self._paragraphs.add(words)
        return "\n".join(lines)


def _read_header(value: str) -> str:
    """Return a header's words, decoded as far as that works. Bytes beyond ASCII, which none may have, are a text's."""
    if not value.isascii():
        data = value.encode("utf-8", "surrogateescape")
        try:
            value = (decode_unicode(data) or decode_legacy(data)).text
        except DocumentUnreadable:
            value = data.decode("utf-8", "replace")
    try:
        words = [_decode_words(*part) for part in decode_header(value)]
        return join_words(str(make_header(words)))
    except (CharsetError, HeaderParseError, LookupError, ValueError, AssertionError):
        return join_words(value)


def _decode_words(words: str | bytes, charset: str | None) -> tuple[str | bytes, str | None]:
    """Decode encoded words, as `make_header` takes them; `email` has other names for some encodings than Python."""
    decoding = decode_declared(words, charset) if isinstance(words, bytes) and charset else None
    return (words, charset) if decoding is None else (decoding.text, "utf-8")


def _list_texts(part: Message, depth: int = 0) -> list[Message]:
    """List the texts that a message shows, in their order: where it has one in several forms, one of them."""
    if part.is_multipart() and part.get_content_maintype() == "multipart" and depth < _DEEPEST_PART:
        parts: list[Message] = part.get_payload()  # pyright: ignore[reportAssignmentType]  # by is_multipart
        texts = [_list_texts(inner, depth + 1) for inner in parts]
        if part.get_content_subtype() == "alternative":
            return _choose_form([form for form in texts if form])
        if part.get_content_subtype() == "related":
            # Behind the first stand what it shows in it: pictures, style sheets, frames.
            texts[1:] = [[one for one in form if one.get_content_subtype() == "plain"] for form in texts[1:]]
        return [text for form in texts for text in form]
    # A message of several parts that doesn't say where they end is the text that it is.
    is_text = part.get_content_maintype() == "multipart" or part.get_content_type() in _TEXTS
    if part.is_multipart() or not is_text or _is_attachment(part) or not read_bytes(part).strip():
        return []
    return [part]


def _choose_form(forms: list[list[Message]]) -> list[Message]:
    """Return a text's form to read: the plain one, unless it only says that there is another."""
    plain = next((form for form in forms if all(text.get_content_subtype() == "plain" for text in form)), None)
    pages = next((form for form in forms if any(text.get_content_subtype() == "html" for text in form)), None)
    if plain is None or pages is None:
        return plain or pages or (forms[0] if forms else [])
    words = sum(len(read_bytes(text).split()) for text in plain)
    return pages if words < _FEW_WORDS and sum(map(_count_words, pages)) > _TIMES * words else plain


def _count_words(part: Message) -> int:
    try:
        text = _decode(part)
        if part.get_content_subtype() == "html":
            text = parse_html(FileContent(b"", "text/html", text), ParseLimits()).text
    except DocumentUnreadable:
        return 0
    return len(text.split())


def _walk(message: Message) -> Iterator[Message]:
    """Yield the parts of a message, but not those of messages in it."""
    pending = [message]
    while pending:
        part = pending.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            parts: list[Message] = part.get_payload()  # pyright: ignore[reportAssignmentType]  # by is_multipart
            pending += reversed(parts)
        else:
            yield part


def _iterate_attachments(message: Message) -> Iterator[Message]:
    """Yield what is attached; not the pictures in a text. An invitation is often there twice, and its text nowhere."""
    parts = list(_walk(message))
    invited = any(_is_attachment(part) and part.get_content_type() in _CALENDARS for part in parts)
    for part in parts:
        invitation = part.get_content_type() in _CALENDARS and not invited
        if _is_attachment(part) or part.get_content_type() == "message/rfc822" or invitation:
            yield part


def _is_attachment(part: Message) -> bool:
    is_shown = part.get("Content-ID") and part.get_content_maintype() == "image"
    if is_shown or part.get_content_type() in _SIGNATURES:
        return False
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _decode(part: Message) -> str:
    """Decode a text as declared, else as it looks.

    Raises:
        DocumentUnreadable: It looks like none for sure.
    """
    data = read_bytes(part)
    declared = part.get_content_charset("")
    # Old programs declare ASCII whatever they send.
    decoding = decode_declared(data, declared) if declared and declared != "us-ascii" else None
    return clean((decoding or decode_unicode(data) or decode_legacy(data)).text)


def _unwrap(part: Message, text: str) -> str:
    """Join the lines that a mail program has wrapped, if it says that it marks them with a space (RFC 3676)."""
    if part.get_param("format") != "flowed":
        return text
    joined = str(part.get_param("delsp", "no")).lower() == "yes"  # the space is there for the mark alone
    lines: list[str] = []
    for line in text.split("\n"):
        flows = bool(lines) and lines[-1].endswith(" ") and lines[-1] != "-- " and not line.startswith(">")
        if flows:
            lines[-1] = (lines[-1][:-1] if joined else lines[-1]) + line
        else:
            lines.append(line)
    return "\n".join(lines)
