import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversations.html_text import read_html
from gateway.conversations.mail_text import cut_signature, find_signature, strip_mail

OWN = "Hello Ben,\n\nit ships today.\n\nKind regards,\nAnna"
QUOTES = {
    "Gmail": "On Mon, Feb 2, 2026 at 9:15 AM Ben <ben@example.com> wrote:\n> Where is it?\n> Ben",
    "Gmail, broken": "On Mon, Feb 2, 2026 at 9:15 AM Ben Longname\n<ben@example.com> wrote:\n\n> Where is it?",
    "Apple Mail": "Am 02.02.2026 um 09:15 schrieb Ben <ben@example.com>:\n\n> Wo ist es?",
    "Thunderbird": "Le 02/02/2026 à 09:15, Ben a écrit :\n> Où est-ce ?",
    "Outlook": "-----Original Message-----\nFrom: Ben\nSent: Monday\nTo: Help\n\nWhere is it?",
    "Outlook, new": "From: Ben <ben@example.com>\nSent: Monday, 2 February 2026 09:15\nTo: Help\n\nWhere is it?",
    "Outlook on the web": "____________________\nFrom: Ben <ben@example.com>\nSent: Monday\nTo: Help\n\nWhere?",
    "Outlook for Mac, German": "Am Montag, 2. Februar 2026, 09:15 hat Ben <ben@example.com> geschrieben:\n\nWo ist es?",
    "Gmail, Polish": "pon., 2 lut 2026 o 09:15 Ben <ben@example.com> napisał(a):\n\n> Gdzie?",
    "Gmail, Japanese": "2026年2月2日(月) 9:15 Ben <ben@example.com>:\n\n> どこ?",
    "Zendesk": "##- Please type your reply above this line -##\n\nYour request (7) has been updated.",
}


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
def test_quoted_mail_goes(quote: str) -> None:
    assert strip_mail(f"{OWN}\n\n{quote}\n") == OWN


def test_answers_between_quoted_lines_stay() -> None:
    text = "On 2 Feb 2026 Ben wrote:\n> Is it blue?\nYes.\n> And round?\nNo."
    assert strip_mail(text) == "Yes.\nNo."


@pytest.mark.parametrize(
    "text",
    [
        "On page 3 you wrote: the kettle is blue.",
        "On the 3rd of May he wrote:\nit is broken. We think so too.\nThat was it.",
        "Dear Ben,\nOn the 3rd of May he wrote:\nit is broken. We think so too.\nThat was it.",
        "Options --\n-- one\n-- two",
        "Price --\n49 pounds\n\n--- or ---\n\nTwo for 90 pounds",
        "Two for one:\n--\nA blue kettle\nA green kettle",
        "Sent from my side: all is well.",
        "It went out on Monday:\nSent from my shop in Leeds",
        "All is well.\nInviato da Roma",
        "From: London\nTo: Paris\nit takes two hours.",
        "Your booking is confirmed:\nFrom: London Euston\nDate: 12 May 2026\nTo: York\nHave a nice trip!",
        "Look for a mail like this:\nFrom: help@kestrel.example\nDate: today\nand open it.",
        "Please open\n> Settings > Network\nand turn it on.",
        "At 9:15 write to Ben <ben@example.com>:\nhe knows.",
        "Am Montag um 9:15 hat Ben uns geschrieben: es ist da.",
        "Name\n________________\nFrom: London",
        "Opening hours\n##---------------##\nNine to five.",
    ],
)
def test_own_words_that_look_alike_stay(text: str) -> None:
    assert strip_mail(text) == text


@pytest.mark.parametrize(
    "fields",
    [
        "From: Ben Smith\nSent: Monday, 2 February 2026 09:15\nTo: Help\nSubject: Kettle",
        "*Von:* Ben <ben@example.com>\n*Gesendet:* Montag, 2. Februar 2026 09:15\n*An:* Hilfe",
        "De : Ben <ben@example.com>\nEnvoyé : lundi 2 février 2026\nÀ : Aide\nObjet : Bouilloire",
    ],
)
def test_the_fields_of_a_quoted_mail_are_told_by_more_than_two(fields: str) -> None:
    assert strip_mail(f"{OWN}\n\n{fields}\n\nWhere is it?") == OWN


def test_marked_lines_go_where_the_thread_has_their_words() -> None:
    earlier = "Hello,\nmy blue kettle from last May doesn't boil any more.\nBen"
    text = "> my blue kettle from last May\n> doesn't boil any more.\nPlease open\n> Settings > Heat\nand turn it up."
    assert strip_mail(text, earlier) == "Please open\n> Settings > Heat\nand turn it up."
    assert strip_mail(text) == text


def test_what_follows_the_sign_of_a_signature_goes() -> None:
    assert strip_mail(f"{OWN}\n\n-- \nAnna Smith\nKestrel Ltd, +44 20 7946 0000\n") == OWN
    assert strip_mail(f"{OWN}\n\nSent from my iPhone") == OWN


def test_a_message_that_is_all_quoted_stays() -> None:
    assert strip_mail("> Where is it?") == "> Where is it?"


WORDS = st.lists(st.sampled_from("the kettle is blue, and round. Yes! 49 pounds (v2) - tea".split()), min_size=1)
LINES = st.lists(WORDS.map(" ".join) | st.just(""), min_size=1, max_size=8)


@given(LINES, st.sampled_from(list(QUOTES.values())))
def test_the_replys_own_words_are_never_eaten(lines: list[str], quote: str) -> None:
    own = "\n".join(lines)
    assert strip_mail(own).split() == own.split()
    if own.strip():
        assert strip_mail(f"{own}\n\n{quote}").split() == own.split()


LOOKALIKES = (
    "> Settings > Network",
    ">>> print(1)",
    "From: London",
    "Date: 12 May 2026",
    "To: Paris",
    "Sent: by ship",
    "On Monday the engineer wrote:",
    "In 2026 at 9:15 we wrote:",
    "--",
    "---",
    "-----",
    "##----##",
    "Sent from my shop",
    "De: Roma",
    "",
)


@given(st.lists(st.sampled_from(LOOKALIKES) | WORDS.map(" ".join), min_size=1, max_size=8))
def test_a_text_without_quoted_mail_is_never_cut(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert strip_mail(text, "Where is it?\nIs the network blue?").split() == text.split()


@given(st.text(max_size=200))
def test_no_line_is_changed_and_something_is_always_left(text: str) -> None:
    stripped = strip_mail(text)
    assert bool(stripped) == bool(text.strip())
    assert strip_mail(stripped) == stripped or len(strip_mail(stripped)) <= len(stripped)


def test_a_card_is_what_messages_have_in_common_and_has_an_address() -> None:
    card = ("Support Engineer | Kestrel Ltd", "+44 20 7946 0000 | www.kestrel.example")
    messages = [f"Answer {number}.\n\nKind regards,\nAnna Smith\n" + "\n".join(card) for number in range(3)]
    assert find_signature(messages) == card
    assert cut_signature(messages[0], card) == "Answer 0.\n\nKind regards,\nAnna Smith"
    assert cut_signature("Another.", card) == "Another."


@pytest.mark.parametrize(
    "ending",
    [
        "Kind regards,\nAnna",
        "Warm regards to all\nAnna",
        "We answer each message.\nAsk us!",
        "Write to help@kestrel.example any time.",
        "The Kestrel team\nhappy to help",
    ],
)
def test_a_sign_off_that_is_style_is_no_card(ending: str) -> None:
    assert find_signature([f"Answer {number}.\n\n{ending}" for number in range(5)]) == ()


NOTICE = "This e-mail and its attachments are confidential and meant for the addressee alone. Delete it otherwise."


@pytest.mark.parametrize(
    ("above", "card"),
    [
        ("Mit freundlichen Grüßen\nAnna Weber", "Kundenservice\nKestrel GmbH\n12345 Berlin\nTel.: +49 30 1234567"),
        ("Kind regards\nAnna Smith", "Customer Care\n(415) 555-0100"),
        ("Met vriendelijke groet,\nJan", "Kestrel B.V.\n020-1234567"),
        ("Kind regards,\nAnna", f"Support\n+44 20 7946 0000\n{NOTICE}"),
        ("Kind regards,\nAnna", f"Support\n{NOTICE}\nThank you."),
        ("Viele Grüße\nAnna", "Support\nDiese E-Mail kann vertrauliche\nDaten enthalten."),
    ],
)
def test_a_card_is_told_from_what_stands_before_it_in_any_language(above: str, card: str) -> None:
    messages = [f"Answer {number}.\n\n{above}\n{card}" for number in range(3)]
    assert find_signature(messages) == tuple(card.split("\n"))


def test_two_messages_are_too_few_for_a_card() -> None:
    assert find_signature(["A.\nTel: +44 20 7946 0000", "B.\nTel: +44 20 7946 0000"]) == ()


def test_html_is_read_as_it_is_seen() -> None:
    html = (
        "<style>p {}</style><p>Hello&nbsp;Ben,</p><p>see <a href='https://k.example/a'>this</a>:</p><ul><li>one<li>two"
        "</ul><div class='gmail_quote'>On Monday you wrote<blockquote>Where?</blockquote></div>"
    )
    assert read_html(html) == "Hello Ben,\n\nsee this (https://k.example/a):\n\n- one\n- two"


@pytest.mark.parametrize(
    ("card", "goes"),
    [
        (["Anna"], True),
        (["x" * 100] * 12, True),
        (["x" * 101], False),
        (["Anna"] * 13, False),
        ([], False),
    ],
)
def test_what_stands_below_two_dashes_goes_where_it_is_as_short_as_a_card(card: list[str], goes: bool) -> None:
    text = "\n".join(["It ships today.", "-- ", *card])
    assert strip_mail(text) == ("It ships today." if goes else text.rstrip())


def test_a_line_of_a_device_below_a_card_goes_with_it() -> None:
    assert strip_mail(f"{OWN}\n\n-- \nAnna Smith\n\nSent from my iPhone\n \n") == OWN


def test_of_several_marks_of_a_quote_a_header_counts_and_what_is_above_stays() -> None:
    header = "On Mon, Feb 2, 2026 at 9:15 AM Ben <ben@example.com> wrote:"
    divider = "-----Original Message-----\nFrom: Ben\nSent: Monday\nTo: Help\n\nWhere is it?"
    assert strip_mail(f"{OWN}\n\n{header}\nHello.\n\n{divider}") == OWN
    assert strip_mail(f"{divider}") == divider, "a message that is nothing else stays"


def test_lines_of_a_card_are_compared_without_the_blanks_around_them() -> None:
    card = "Kind regards,\nAnna Smith\n{}Kestrel Ltd\n\n+44 20 7946 0000 | www.kestrel.example"
    messages = [f"Answer {n}.\n\n" + card.format(" " * n) for n in range(3)]
    assert find_signature(messages) == ("Kestrel Ltd", "+44 20 7946 0000 | www.kestrel.example")
    assert cut_signature(messages[2], find_signature(messages)) == "Answer 2.\n\nKind regards,\nAnna Smith"


def test_a_message_that_is_its_card_alone_or_ends_otherwise_stays() -> None:
    card = ("Kestrel Ltd", "+44 20 7946 0000")
    assert cut_signature("Kestrel Ltd\n+44 20 7946 0000", card) == "Kestrel Ltd\n+44 20 7946 0000"
    assert cut_signature("Hi.\nKestrel Ltd\n+44 20 7946 0001", card) == "Hi.\nKestrel Ltd\n+44 20 7946 0001"
    assert cut_signature("Hi.\nKestrel\n+44 20 7946 0000", card) == "Hi.\nKestrel\n+44 20 7946 0000"
    assert cut_signature("Hi.  \n\n", ()) == "Hi."


@pytest.mark.parametrize("line", ["From: a\n", "12.03.2026 10:22 Ann <a@b.example>:\nhello there\n"])
def test_a_long_text_of_lines_like_those_above_quotes_takes_no_longer_per_line(line: str) -> None:
    began = time.process_time()
    strip_mail(line * (900_000 // len(line)))
    assert time.process_time() - began < 5
