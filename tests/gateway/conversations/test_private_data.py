from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversations import Conversation
from gateway.conversations.private_data import find_private_data, redact, redact_conversation
from training.dataset import Message, RowPassage


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("Write to ben.o'neil+x@mail.example.co.uk.", "e-mail", "neil+x@mail.example.co.uk"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "iban", "DE89 3704 0044 0532 0130 00"),
        ("GB82WEST12345698765432", "iban", "GB82WEST12345698765432"),
        ("Card 4111 1111 1111 1111.", "card", "4111 1111 1111 1111"),
        ("from 192.168.0.17", "ip", "192.168.0.17"),
        ("from 2001:db8::8a2e:370:7334", "ip", "2001:db8::8a2e:370:7334"),
        ("call +44 20 7946 0018 now", "phone", "+44 20 7946 0018"),
        ("call 030/1234567 now", "phone", "030/1234567"),
        ("call (555) 010-9999", "phone", "(555) 010-9999"),
        ("call +1 23456 78901 2345", "phone", "+1 23456 78901 2345"),
        ("call 01234567", "phone", "01234567"),
    ],
)
def test_personal_data_is_found_by_its_form(text: str, kind: str, place: str) -> None:
    assert [(one.kind, text[one.start : one.end]) for one in find_private_data(text)] == [(kind, place)]


@pytest.mark.parametrize(
    "text",
    [
        "IBAN GB82WEST12345698765433 has a wrong digit",
        "4111 1111 1111 1112 isn't a card",
        "on 02.02.2026 at 09:15, 24/7, 1,000,000 pounds",
        "firmware 10.2.0.4 and std::vector",
        "order 123456789 and #0012345678",
        "999.1.1.1",
        "::1 is this machine",
        "call 020 123 or 0123456",  # seven digits are no number of a phone
        "+1 23456 78901 23456 is longer than any",
    ],
)
def test_what_only_looks_alike_is_none(text: str) -> None:
    assert find_private_data(text) == []
    assert redact(text) == text


def test_all_texts_of_a_conversation_are_redacted() -> None:
    own, other = "Mail a@b.example", "Mail [e-mail]"
    messages = [Message("user", own), Message("assistant", own, weight=1)]
    redacted = redact_conversation(Conversation(3, messages, "t", [RowPassage(own, own)], own))
    assert redacted == Conversation(
        3,
        [Message("user", other), Message("assistant", other, weight=1)],
        "t",
        [RowPassage(other, other)],
        other,
    )


@given(st.text(max_size=300))
def test_places_are_apart_and_redacted_texts_have_none(text: str) -> None:
    places = find_private_data(text)
    assert all(first.end <= second.start for first, second in pairwise(places))
    assert find_private_data(redact(text)) == []


def test_two_places_without_a_space_between_them_are_both_found() -> None:
    text = "a@b.example,192.168.0.17;DE89370400440532013000"
    assert redact(text) == "[e-mail],[ip];[iban]"
