"""The words that a writer added in a mail: without what it quotes, and without the card at its end.

Only what is surely not the writer's own goes, since a reply that lost a sentence teaches to break off. A greeting, the
closing words and the name after them are style, and stay.
"""

import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["cut_signature", "find_signature", "strip_mail"]

_HEADER = re.compile(
    r"(?im)^[ \t>]*(?:"
    r"On\b.{6,200}?\bwrote:"
    r"|(?:Am|Den)\b.{6,200}?\b(?:schrieb|skrev)\b.{0,120}?:"
    r"|Le\b.{6,200}?\ba écrit\s*:"
    r"|El\b.{6,200}?\bescribió\s*:"
    r"|Il\b.{6,200}?\bha scritto\s*:"
    r"|Em\b.{6,200}?\bescreveu\s*:"
    r"|Op\b.{6,200}?\bschreef\b.{0,120}?:"
    r")[ \t]*$"
)
"""The line above what is quoted, in the words of Gmail, Apple Mail and Thunderbird; it has a digit, of a date."""

_DIVIDER = re.compile(
    r"(?im)^[ \t]*(?:-{2,}[ \t]*(?:original message|ursprüngliche nachricht|message d'origine|mensaje original"
    r"|messaggio originale|oorspronkelijk bericht|forwarded message|weitergeleitete nachricht)[ \t]*-{2,}"
    r"|#{2,}-.{5,120}-#{2,})[ \t]*$"
)
"""Outlook's line above what is quoted, and that of ticket systems which ask to write above it."""

_FIELDS = re.compile(
    r"(?im)^[ \t]*\*?(?:from|von|de|da|van)\*?:.{3,200}\n(?:[ \t]*\*?(?:reply-to|cc)\*?:.*\n)?"
    r"[ \t]*\*?(?:sent|date|gesendet|datum|envoyé|enviado|inviato|data|fecha|verzonden)\*?:.{3,200}$"
)
_QUOTED = re.compile(r"^[ \t]*>")
_DEVICE = re.compile(
    r"(?i)^[ \t]*(?:sent from my \w[\w ]{1,30}|get outlook for (?:ios|android)\b.*|von meinem \w+ gesendet"
    r"|envoyé de mon \w+|enviado desde mi \w+|inviato da \w+|sent from mail for windows.*)\.?[ \t]*$"
)
_CARD_LINES, _CARD_WIDTH = 12, 100
_CONTACT = re.compile(
    r"[\w.+-]+@[\w-]+\.\w|https?://|\bwww\.|(?:\+|\b0)\d[\d ()/.-]{6,}\d|(?i:\b(?:tel|phone|fax)\b\W)"
)
_LEAST_COPIES = 3


def strip_mail(text: str) -> str:
    """Return a message without quoted mail and without what follows `-- `; as it is where nothing else would be left.

    Answers between quoted lines stay, in their order.
    """
    text = text.replace("\r\n", "\n").replace("\xa0", " ")
    stripped = _cut_card(_cut_quoted(text)).strip()
    return re.sub(r"\n{3,}", "\n\n", stripped) if stripped else text.strip()


def _cut_quoted(text: str) -> str:
    header = next((match for match in _HEADER.finditer(_unwrap(text)) if re.search(r"\d", match[0])), None)
    if header is not None:
        text = _unwrap(text)
    for match in filter(None, (header, _DIVIDER.search(text), _FIELDS.search(text))):
        before, after = text[: match.start()], text[match.end() :]
        lines = [line for line in after.split("\n") if line.strip()]
        if lines and _QUOTED.match(lines[0]):
            text = f"{before}\n{after}"  # quoted by marks: what has none is an answer to it
        elif before.strip():
            text = before
        break
    return "\n".join(line for line in text.split("\n") if not _QUOTED.match(line))


def _unwrap(text: str) -> str:
    """Join a header that a mail program broke into two lines."""
    return re.sub(
        r"(?im)^([ \t>]*(?:On|Am|Le|El|Il|Em|Op|Den)\b[^\n]{6,120}\d[^\n]{0,80})\n(?![ \t]*\n)([^\n]{0,120}"
        r"(?:wrote|schrieb|a écrit|escribió|ha scritto|escreveu|schreef|skrev)[^\n]{0,60}:)[ \t]*$",
        r"\1 \2",
        text,
    )


def _cut_card(text: str) -> str:
    lines = text.rstrip().split("\n")
    while lines and (not lines[-1].strip() or _DEVICE.match(lines[-1])):
        lines.pop()
    for index in range(max(0, len(lines) - _CARD_LINES - 1), len(lines)):
        card = lines[index + 1 :]
        if lines[index].rstrip() == "--" and card and all(len(line) <= _CARD_WIDTH for line in card):
            return "\n".join(lines[:index])
    return "\n".join(lines)


def find_signature(messages: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that one writer's messages end with and that are a card: with a number or an address in them.

    Lines are a card where half of the messages, and three at least, end with them. Closing words and the name in the
    line after them aren't part of it. Empty where there is no card.
    """
    endings: Counter[tuple[str, ...]] = Counter()
    for message in messages:
        lines = _get_lines(message)
        for length in range(1, min(len(lines), _CARD_LINES + 1)):  # never a whole message
            endings[tuple(lines[-length:])] += 1
    enough = max(_LEAST_COPIES, len(messages) / 2)
    common = max((ending for ending, count in endings.items() if count >= enough), key=len, default=())
    if not any(map(_CONTACT.search, common)):
        return ()
    first = next(index for index, line in enumerate(common) if _CONTACT.search(line))
    closing = [index for index, line in enumerate(common[: first + 1]) if _is_closing(line)]
    start = min(closing[-1] + 2, first) if closing else first
    card = common[start:]
    # Prose that ends each message, such as "Write to help@example.com any time.", is style.
    return () if any(len(line) > _CARD_WIDTH or line.endswith(("?", "!", ".")) for line in card) else card


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
    return line.endswith(",") and len(line.split()) <= 4
