"""The words that a writer added in a mail: without what it quotes, and without the card at its end.

Only what is surely not the writer's own goes, since a reply that lost a sentence teaches to break off. A greeting, the
closing words and the name after them are style, and stay.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Literal

__all__ = ["QUOTES", "SIGNATURES", "MailPart", "cut_signature", "find_signature", "strip_mail"]

MailPart = Literal["quoted mails", "signatures"]
QUOTES: MailPart = "quoted mails"
SIGNATURES: MailPart = "signatures"

_HEADER = re.compile(
    r"(?im)^[ \t>]*(?:"
    r"On\b.{6,200}?\bwrote:"
    r"|(?:Am|Den)\b.{6,200}?\b(?:schrieb|skrev)\b.{0,120}?:"
    r"|Am\b.{6,200}?\bhat\b.{1,120}?\bgeschrieben\s*:"
    r"|Le\b.{6,200}?\ba écrit\s*:"
    r"|El\b.{6,200}?\bescribió\s*:"
    r"|Il\b.{6,200}?\bha scritto\s*:"
    r"|Em\b.{6,200}?\bescreveu\s*:"
    r"|Op\b.{6,200}?\bschreef\b.{0,120}?:"
    r")[ \t]*$"
)
"""The line above what is quoted, in the words of Gmail, Apple Mail and Thunderbird; `_is_attribution` has the rest."""

_ADDRESSED = re.compile(
    r"(?m)^(?=[^\n]{8,200}[:\uff1a][ \t]*$)(?=[^\n]*(?<!\d)\d{1,2}[:.]\d{2}(?!\d))[^\n>]*<[\w.+-]+@[\w.-]+>[^\n]*$"
)
"""The same in whatever language: a time, an address between brackets, and a colon; quoted lines follow."""

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w")
_CLOCK = re.compile(r"\b\d{1,2}[:h]\d{2}\b|\bkl\. ?\d")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)|\b\d{1,2}[./-]\d{1,2}[./-]\d{2}\b")

_DIVIDER = re.compile(
    r"(?im)^[ \t]*(?:-{2,}[ \t]*(?:original message|ursprüngliche nachricht|message d'origine|mensaje original"
    r"|messaggio originale|oorspronkelijk bericht|forwarded message|weitergeleitete nachricht)[ \t]*-{2,}"
    r"|#{2,}-(?=(?:[^\n]*?[^\W\d_]{2,}){4}).{5,120}-#{2,})[ \t]*$"
)
"""Outlook's line above what is quoted, and that of ticket systems which ask, in a few words, to write above it."""

_FIELD = re.compile(r"[ \t]*\*?(\w[\w-]{0,12})\*?[ \t]?[:\uff1a](.*)")
_FROM = re.compile(r"(?im)^(?:[ \t]*_{5,}\s*\n)?(?P<first>[ \t]*\*?(?:from|von|de|da|van)\*?[ \t]?:)")
"""The first field, and the line that Outlook on the web draws above it."""
_FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("from", "von", "de", "da", "van"), "from"),
    **dict.fromkeys("sent date gesendet datum envoyé enviado inviato data fecha verzonden".split(), "date"),
    **dict.fromkeys(("to", "an", "à", "para", "a", "aan"), "to"),
    **dict.fromkeys(("subject", "betreff", "objet", "asunto", "oggetto", "onderwerp", "assunto"), "subject"),
    **dict.fromkeys(("cc", "reply-to", "importance"), "other"),
}
"""The fields above a mail that Outlook quotes, in seven languages."""

_SENDER = re.compile(r"(?m)^[ \t]*\*?[^\W\d_]{2,13}\*?[ \t]?[:\uff1a][^\n<>:]{0,80}[<\[(][\w.+-]+@[\w.-]+[>\])][ \t]*$")
_LEAST_FOREIGN = 4
_MOST_FIELDS = 8
_QUOTED = re.compile(r"^[ \t]*>")
_NEXT_QUOTED = re.compile(r"[\n \t]*>")
_MARKS = re.compile(r"(?m)^[ \t>]+")
_LEAST_QUOTED = 4
"""Words: fewer that somebody wrote earlier may stand behind a sign by chance."""

_BRANDS = (
    r"(?:iphone|ipad|galaxy|samsung|android|blackberry|huawei|xiaomi|oneplus|nokia|pixel|xperia|motorola|t-mobile"
    r"|windows|yahoo mail|outlook)\b[\w .+-]{0,25}"
)
_DEVICE = re.compile(
    r"(?i)^[ \t]*(?:(?:sent from (?:my|mail for|yahoo|outlook)?|envoyé de (?:mon|ma)|enviado desde mi|enviado do meu"
    rf"|inviato (?:da|dal mio)|verzonden vanaf mijn|von meine[mr])\b[ ]?(?:[\w-]{{1,12}} )?(?:{_BRANDS}"
    r"|(?:smart|mobile |cell )?phone|mobile|tablet|handy)(?: gesendet)?|get outlook for (?:ios|android)\b.*"
    r"|sent with proton ?mail\b.{0,30})\.?[ \t]*$"
)
"""The line that a device adds below a mail."""

_CARD_LINES, _CARD_WIDTH = 12, 100
_CONTACT = re.compile(
    r"[\w.+-]+@[\w-]+\.\w|https?://|\bwww\.|(?:\+|\b0)\d[\d ()/.-]{6,}\d|\(\d{2,3}\) ?\d{3,5}-\d{4}\b"
    r"|(?i:\b(?:tel|phone|fax)\b\W)"
)
_CLOSING = re.compile(
    r"(?i)\b(?:grüßen|grüße|gruß|grüssen|grüsse|gruss|regards|wishes|sincerely|cordialement|salutations|saludos?"
    r"|atentamente|saluti|groet|groeten|atenciosamente|cumprimentos|hilsen|hälsningar)\b"
)
"""Words of a mail's last greeting, in the languages whose writers put no comma behind it, and in some others."""

_NOTICE = re.compile(
    r"(?i)(?=.*\b(?:e-?mail|message|nachricht|courriel|correo|mensaje|messaggio|bericht|mensagem))"
    r".*\b(?:confiden[ct]i|vertraulich|riservat|vertrouwelijk)"
)
"""The first line of the words about secrecy that a company's mail server puts below a card."""

_PROSE_WORDS = 4
_LEAST_COPIES = 3
_ENDING_LINES = 24


def strip_mail(text: str, earlier: str = "", tell: Callable[[MailPart], None] = lambda _: None) -> str:
    """Return a message without quoted mail and without what follows `-- `; as it is where nothing else would be left.

    Answers between quoted lines stay, in their order. Lines behind `>` are quoted below a line that says so, or where
    `earlier`, the thread's messages so far, has their words: others may be a path through menus, or a prompt. `tell`
    hears of which kind something was cut.
    """
    text = text.replace("\r\n", "\n").replace("\xa0", " ")
    unquoted = _cut_quoted(text, _flatten(earlier))
    stripped = _cut_card(unquoted).strip()
    if not stripped:
        return text.strip()
    words = unquoted.split()
    if words != text.split():
        tell(QUOTES)
    if words != stripped.split():
        tell(SIGNATURES)
    return re.sub(r"\n{3,}", "\n\n", stripped)


def _cut_quoted(text: str, earlier: str) -> str:
    while True:
        text, span = _find_quote(text)
        if span is None:
            return _drop_known(text, earlier)
        before, after = text[: span[0]], text[span[1] :]
        if _find_next(text, span[1]) is None:
            return _drop_known(before if before.strip() else text, earlier)
        own = (line for line in after.split("\n") if not _QUOTED.match(line))
        text = "\n".join((before, *own))  # quoted by marks: what has none is an answer to it


def _find_quote(text: str) -> tuple[str, tuple[int, int] | None]:
    """Return the first place that says that a mail is quoted below, and the text, in which it is one line."""
    unwrapped = _unwrap(text)
    headers = (match.span() for match in _HEADER.finditer(unwrapped) if _is_attribution(match, unwrapped))
    if (header := next(headers, None)) is not None:
        text = unwrapped
    dividers = (match.span() for match in _DIVIDER.finditer(text))
    addressed = (match.span() for match in _ADDRESSED.finditer(text) if _find_next(text, match.end()))
    spans = filter(
        None,
        (
            header,
            next(dividers, None),
            next(addressed, None),
            next(_find_fields(text), None),
            next(_find_foreign_fields(text), None),
        ),
    )
    return text, min(spans, default=None)


def _is_attribution(header: re.Match[str], text: str) -> bool:
    """Tell whether a line is a mail program's: it has an address, or a date with a time, or quoted lines below it."""
    line = header[0]
    is_dated = _CLOCK.search(line) and _YEAR.search(line)
    return bool(_ADDRESS.search(line) or is_dated or (re.search(r"\d", line) and _find_next(text, header.end())))


def _find_next(text: str, start: int) -> re.Match[str] | None:
    """Return the sign before the next line that isn't blank, where it has one."""
    return _NEXT_QUOTED.match(text, start)


def _find_fields(text: str) -> Iterator[tuple[int, int]]:
    """Yield the fields of quoted mails: sender and date, with an address and one more, or receiver and subject."""
    for match in _FROM.finditer(text):
        names: set[str] = set()
        end = match.start("first")
        block = [*islice(_yield_lines(text, end), _MOST_FIELDS)]
        for line in block:
            field = _FIELD.match(line)
            name = field and _FIELDS.get(field[1].casefold())
            if not name:
                break
            names.add(name)
            end += len(line) + 1
        has_address = bool(_ADDRESS.search(block[0])) and not names.isdisjoint(("to", "subject"))
        if {"from", "date"} <= names and (has_address or {"to", "subject"} <= names):
            yield match.start(), min(end, len(text))


def _find_foreign_fields(text: str) -> Iterator[tuple[int, int]]:
    """Yield the fields of quoted mails in other languages: an address, a date with its time, an address, and one more.

    Of the second line and the third either may come first, and the sender's field has its name before the address.
    """
    for match in _SENDER.finditer(text):
        block = [*islice(_yield_lines(text, match.start()), _MOST_FIELDS)]
        length = next((place for place, line in enumerate(block) if not _FIELD.match(line)), len(block))
        fields = block[:length]
        dates = [line for line in fields[1:3] if _YEAR.search(line) and _CLOCK.search(line)]
        if length >= _LEAST_FOREIGN and len(dates) == 1:
            yield match.start(), min(match.start() + sum(len(line) + 1 for line in fields), len(text))


def _yield_lines(text: str, start: int) -> Iterator[str]:
    """Yield the lines from a place on, without a copy of all that is behind it."""
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def _drop_known(text: str, earlier: str) -> str:
    """Leave out the runs of lines behind `>` whose words somebody wrote earlier in the thread."""
    if not earlier:
        return text
    lines: list[str] = []
    for is_marked, run in groupby(text.split("\n"), lambda line: bool(_QUOTED.match(line))):
        block = [*run]
        words = _flatten("\n".join(block)).split()
        is_known = is_marked and (len(words) >= _LEAST_QUOTED or not words) and " ".join(words) in earlier
        lines += [] if is_known else block
    return "\n".join(lines)


def _flatten(text: str) -> str:
    """Return a text in one line, without the signs of quoted lines."""
    return " ".join(_MARKS.sub("", text).split())


def _unwrap(text: str) -> str:
    """Join a header that a mail program broke into two lines."""
    return re.sub(
        r"(?im)^([ \t>]*(?:On|Am|Le|El|Il|Em|Op|Den)\b[^\n]{6,120}\d[^\n]{0,80})\n(?![ \t]*\n)([^\n]{0,120}"
        r"(?:wrote|schrieb|geschrieben|a écrit|escribió|ha scritto|escreveu|schreef|skrev)[^\n]{0,60}:)[ \t]*$",
        r"\1 \2",
        text,
    )


def _cut_card(text: str) -> str:
    lines = text.rstrip().split("\n")
    while lines and (not lines[-1].strip() or _DEVICE.match(lines[-1])):
        lines.pop()
    for index in range(max(0, len(lines) - _CARD_LINES - 1), len(lines)):
        card = lines[index + 1 :]
        # Where a system took the space behind the sign, it may as well be a line between two things.
        is_sign = lines[index] == "-- " or (lines[index].rstrip() == "--" and any(map(_CONTACT.search, card)))
        if is_sign and card and all(len(line) <= _CARD_WIDTH for line in card):
            return "\n".join(lines[:index])
    return "\n".join(lines)


def find_signature(messages: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that one writer's messages end with and that are a card: with a number or an address in them.

    Lines are a card where half of the messages, and three at least, end with them. Closing words and the name in the
    line after them aren't part of it; a notice about secrecy is, to its end. Empty where there is no card.
    """
    endings: Counter[tuple[str, ...]] = Counter()
    for message in messages:
        lines = _get_lines(message)
        for length in range(1, min(len(lines), _ENDING_LINES + 1)):  # never a whole message
            endings[tuple(lines[-length:])] += 1
    enough = max(_LEAST_COPIES, len(messages) / 2)
    common = max((ending for ending, count in endings.items() if count >= enough), key=len, default=())
    own = next((index for index, line in enumerate(common) if _NOTICE.match(line)), len(common))
    first = next((index for index, line in enumerate(common[:own]) if _CONTACT.search(line)), own)
    if first == len(common):
        return ()
    closing = [index for index, line in enumerate(common[: first + 1]) if _is_closing(line)]
    start = min(closing[-1] + 2, first) if closing else first
    # Prose that ends each message, such as "Write to help@example.com any time.", is style.
    return () if any(map(_is_prose, common[start:own])) else common[start:]


def cut_signature(message: str, card: Sequence[str]) -> str:
    """Return a message without the lines of a card at its end; as it is where it has other ones, or nothing else."""
    lines = message.rstrip().split("\n")
    rest = list(card)
    while rest and lines:
        line = lines.pop()
        if line.strip() and line.strip() != rest.pop():
            return message
    return "\n".join(lines).rstrip() if not rest and any(map(str.strip, lines)) else message


def _get_lines(message: str) -> list[str]:
    return [line.strip() for line in message.split("\n") if line.strip()]


def _is_closing(line: str) -> bool:
    """Tell whether a line is closing words, such as "Kind regards,"; a name follows them."""
    words = len(line.split())
    return (line.endswith(",") and words <= 4) or (words <= 6 and bool(_CLOSING.search(line)))


def _is_prose(line: str) -> bool:
    """Tell whether a line of a card is a sentence; `Kestrel B.V.` is none."""
    return (
        len(line) > _CARD_WIDTH
        or line.endswith(("?", "!"))
        or (line.endswith(".") and len(line.split()) > _PROSE_WORDS)
    )
