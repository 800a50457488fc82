"""Personal data in texts, by rules: addresses of mail and hosts, numbers of phones, accounts, cards, social security.

What has check digits is checked by them. Names and postal addresses aren't found in texts: no rule does (decision 17).
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from gateway.conversations.conversation import Conversation
from gateway.conversations.phone_numbers import find_phones
from gateway.evaluation.unspaced_scripts import mark_letters
from training.dataset import Message, RowPassage

__all__ = ["KINDS", "PrivateData", "find_private_data", "redact", "redact_conversation"]

Kind = Literal["e-mail", "iban", "card", "ip", "ssn", "phone"]
KINDS: tuple[Kind, ...] = ("e-mail", "iban", "card", "ip", "ssn", "phone")

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[a-zA-Z]{2,24}(?![\w-])")
_IBAN = re.compile(r"(?i)(?<![a-z0-9])[a-z]{2}\d{2}(?:[ -]?[a-z0-9]{4}){2,7}(?:[ -]?[a-z0-9]{1,4})?(?![a-z0-9])")
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|3[0689]\d{12}|3[47]\d{13}|(?:2[2-7]|3[56]|5\d|6\d)\d{14}|(?:6\d|5[06-8])\d{15,17}"
)
"""Beginnings and lengths of cards: an article's number (EAN) of 13 digits that begins with 5 is none."""
_CARD = re.compile(
    r"(?<![\d.,+-])(?<!\d )(?=[2-6])(?:\d{13,19}|\d{4}([ .-])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ .-])\d{6}\2\d{5})(?![ -]?\d)"
)
_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")
_VERSION = re.compile(r"(?i)(?:\bv|version|release|firmware|build)[ .]*$")
_IBAN_DIGITS = 10
"""The least in one that isn't in capitals, where words may look alike; but for Malta's all have as many."""


@dataclass(frozen=True, slots=True)
class PrivateData:
    """A place in a text; `start` and `end` count characters."""

    kind: Kind
    start: int
    end: int


def find_private_data(text: str, region: str | None = None) -> list[PrivateData]:
    """Return the personal data in a text, in its order; none lies in another.

    By a `region` (`US`) phone numbers of that country are found however they are written.
    """
    text = mark_letters(text)
    places: list[PrivateData] = []
    for kind in KINDS:
        for start, end in _find(kind, text, region):
            if all(end <= one.start or one.end <= start for one in places):
                places.append(PrivateData(kind, start, end))
    return sorted(places, key=lambda one: one.start)


def redact(text: str, region: str | None = None) -> str:
    """Return a text with its personal data replaced by its kind, as `[e-mail]`, until there is none."""
    while places := find_private_data(text, region):
        for one in reversed(places):
            text = f"{text[: one.start]}[{one.kind}]{text[one.end :]}"
    return text


def redact_conversation(conversation: Conversation, region: str | None = None) -> Conversation:
    """Return a conversation with the personal data of all its texts replaced, and without its authors' names."""
    messages = [_redact_message(message, region) for message in conversation.messages]
    passages = conversation.passages
    if passages is not None:
        passages = [RowPassage(redact(passage.title, region), redact(passage.text, region)) for passage in passages]
    rejected = None if conversation.rejected is None else redact(conversation.rejected, region)
    return msgspec.structs.replace(conversation, messages=messages, passages=passages, rejected=rejected)


def _redact_message(message: Message, region: str | None) -> Message:
    return msgspec.structs.replace(message, content=redact(message.text, region), name=None)


def _find(kind: Kind, text: str, region: str | None) -> Iterator[tuple[int, int]]:
    match kind:
        case "e-mail":
            yield from (match.span() for match in _EMAIL.finditer(text))
        case "iban":
            yield from _find_ibans(text)
        case "card":
            yield from (match.span() for match in _CARD.finditer(text) if _is_card(_digits(match[0])))
        case "ip":
            yield from _find_addresses(text)
        case "ssn":
            yield from (match.span() for match in _SSN.finditer(text))
        case "phone":
            yield from find_phones(text, region)


def _find_ibans(text: str) -> Iterator[tuple[int, int]]:
    """Find IBANs: the longest piece at each place whose check digits are right, since a word may follow it."""
    for match in _IBAN.finditer(text):
        ends = [sign.start() for sign in re.finditer(r"[ -]|$", match[0])][::-1]
        end = next((end for end in ends if _is_iban(re.sub("[ -]", "", match[0][:end]))), None)
        if end is not None:
            yield match.start(), match.start() + end


def _is_iban(code: str) -> bool:
    """Check by ISO 7064, modulus 97."""
    if not 15 <= len(code) <= 34 or (not code.isupper() and len(_digits(code)) < _IBAN_DIGITS):
        return False
    return int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4])) % 97 == 1


def _is_card(digits: Sequence[int]) -> bool:
    """Check by Luhn."""
    if _ISSUED.fullmatch("".join(map(str, digits))) is None:
        return False
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _find_addresses(text: str) -> Iterator[tuple[int, int]]:
    for match in (*_IP4.finditer(text), *_IP6.finditer(text)):
        try:
            ipaddress.ip_address(match[0])
        except ValueError:
            continue
        if len(match[0]) > 3 and not _VERSION.search(text[: match.start()][-12:]):  # `::` stands in code as well
            yield match.span()


def _digits(text: str) -> list[int]:
    return [int(sign) for sign in text if sign in "0123456789"]
