import time
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
        ("Card 4111.1111.1111.1111.", "card", "4111.1111.1111.1111"),
        ("Card 2223003122003222", "card", "2223003122003222"),
        ("IBAN CH93-0076-2011-6238-5295-7 please", "iban", "CH93-0076-2011-6238-5295-7"),
        ("from 192.168.0.17", "ip", "192.168.0.17"),
        ("from 2001:db8::8a2e:370:7334", "ip", "2001:db8::8a2e:370:7334"),
        ("call +44 20 7946 0018 now", "phone", "+44 20 7946 0018"),
        ("call 030/1234567 now", "phone", "030/1234567"),
        ("call (555) 010-9999", "phone", "(555) 010-9999"),
        ("call +1 23456 78901 2345", "phone", "+1 23456 78901 2345"),
        ("call 01234567", "phone", "01234567"),
        ("call 555-123-4567.", "phone", "555-123-4567"),
        ("call 415.555.2671, please", "phone", "415.555.2671"),
        ("call 1-800-555-0199", "phone", "1-800-555-0199"),
        ("call 0044 20 7946 0018", "phone", "0044 20 7946 0018"),
        ("请致电030/1234567谢谢", "phone", "030/1234567"),
        ("my phone number is 07911123456", "phone", "07911123456"),
        ("SSN 123-45-6789", "ssn", "123-45-6789"),
        ("iban de89 3704 0044 0532 0130 00 please", "iban", "de89 3704 0044 0532 0130 00"),
        ("gb82west12345698765432", "iban", "gb82west12345698765432"),
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
        "EAN 5901234123457 and 4006381333931",
        "order 123456789 and #0012345678",
        "order 0012345678",
        "Bestellnummer: 0301234567, invoice no. 030-1234567",
        "Articles 0012345678 and 000-12-3456",
        "999.1.1.1",
        "::1 is this machine",
        "call 020 123 or 0123456",  # seven digits are no number of a phone
        "+1 23456 78901 23456 is longer than any",
    ],
)
def test_what_only_looks_alike_is_none(text: str) -> None:
    assert find_private_data(text) == []
    assert redact(text) == text


@pytest.mark.parametrize(
    ("region", "text", "place"),
    [
        ("US", "call 4155552671", "4155552671"),
        ("ES", "llama al 912345678", "912345678"),
        ("FR", "au 01.42.68.53.00", "01.42.68.53.00"),
        ("JP", "電話は03-3210-1234です", "03-3210-1234"),
    ],
)
def test_a_region_has_phone_numbers_of_its_own(region: str, text: str, place: str) -> None:
    assert [text[one.start : one.end] for one in find_private_data(text, region)] == [place]
    assert redact(text, region) == text.replace(place, "[phone]")


@pytest.mark.parametrize("text", ["order 4155552671", "on 02.02.2026", "4155552671234567", "£4155552.67"])
@pytest.mark.parametrize("region", ["US", "DE"])
def test_a_region_makes_no_phone_numbers_of_others(region: str, text: str) -> None:
    assert find_private_data(text, region) == []


def test_all_texts_of_a_conversation_are_redacted() -> None:
    own, other = "Mail a@b.example", "Mail [e-mail]"
    messages = [Message("user", own, name="anna_meyer"), Message("assistant", own, weight=1)]
    redacted = redact_conversation(Conversation(3, messages, "t", [RowPassage(own, own)], own))
    assert redacted == Conversation(
        3,
        [Message("user", other), Message("assistant", other, weight=1)],
        "t",
        [RowPassage(other, other)],
        other,
    )


@given(st.text(max_size=300) | st.text("0123456789 +-./()aE", max_size=60))
def test_places_are_apart_and_redacted_texts_have_none(text: str) -> None:
    places = find_private_data(text)
    assert all(first.end <= second.start for first, second in pairwise(places))
    assert find_private_data(redact(text)) == []


def test_two_places_without_a_space_between_them_are_both_found() -> None:
    text = "a@b.example,192.168.0.17;DE89370400440532013000"
    assert redact(text) == "[e-mail],[ip];[iban]"


@pytest.mark.parametrize("piece", ["0", "7", "+1", "0 ", "0-", "(0) ", "012345678901234 ", "01234567,", "0.1"])
def test_a_long_run_of_digits_takes_time_by_its_length_alone(piece: str) -> None:
    text = piece * (20_000 // len(piece))
    started = time.process_time()
    find_private_data(text)
    assert time.process_time() - started < 5  # 20,000 zeros took minutes


@pytest.mark.parametrize(
    "number",
    [
        "+49 30 1234567", "+4930 123 45 67", "+49 (0)30 1234567", "+49(0) 30/1234567", "+1 (415) 555-2671",
        "+44.20.7946.0958", "(030) 123 45-67", "(030)1234567", "030/1234567", "0301234567", "01 23 45 67 89",
        "0049 30 1234567",
    ],
)  # fmt: skip
@pytest.mark.parametrize("rest", ["", ".", ", please", " 12x", " ok"])
def test_a_number_is_found_whole_whatever_follows(number: str, rest: str) -> None:
    text = f"Call {number}{rest}"
    assert [text[one.start : one.end] for one in find_private_data(text)] == [number]
