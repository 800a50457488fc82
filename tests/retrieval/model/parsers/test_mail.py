from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from retrieval.parsers.text import clean
from tests.retrieval.model.parsers.office_files import FILES

pytestmark = pytest.mark.model


def make_message(subject: str = "Prices", text: str = "", html: str = "", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Jörg <j@example.com>", "b@example.com", subject
    message["Date"] = "Fri, 27 Nov 2026 00:00:00 +0000"
    for name, value in headers.items():
        message[name] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def read(data: bytes | EmailMessage, name: str = "a.eml") -> ParsedDocument:
    return read_document(data if isinstance(data, bytes) else data.as_bytes(), name, ParseLimits())


HEAD = "From: Jörg <j@example.com>\nTo: b@example.com\nDate: Fri, 27 Nov 2026 00:00:00 +0000"


def test_a_message_is_its_subject_its_people_and_its_text() -> None:
    parsed = read(make_message("Preise für\t2026", "Hallo.\n\n> What do they cost?\n\n49 €.\n", "<p>HTML"))
    assert parsed.text == f"# Preise für 2026\n\n{HEAD}\n\nHallo.\n\n> What do they cost?\n\n49 €."
    assert (parsed.title, parsed.media_type) == ("Preise für 2026", "message/rfc822")


@pytest.mark.parametrize(
    "name", ['"=?utf-8?B?w5xiZXJzaWNodC5jc3Y=?="', "*0*=UTF-8''%C3%9Cber;\n filename*1*=sicht.csv"]
)
def test_a_name_is_read_however_programs_write_it(name: str) -> None:
    separator = "" if name.startswith("*") else "="
    head = "From: a@example.com\nMIME-Version: 1.0\nSubject: x\nContent-Disposition: attachment;"
    parsed = read(f"{head} filename{separator}{name}\n\nTeil;Preis\nP-1;49\n".encode())
    assert "## Attachment: Übersicht.csv\n\nTeil | Preis\nP-1 | 49" in parsed.text


def test_html_is_read_where_there_is_no_text() -> None:
    parsed = read(make_message("Prices", " ", "<h1>Fares</h1><p>Adults pay 12.<p style='display:none'>x"))
    assert parsed.text == f"# Prices\n\n{HEAD}\n\n# Fares\n\nAdults pay 12."
    assert [(heading.level, heading.title) for heading in parsed.headings] == [(1, "Prices"), (2, "Fares")]


def test_attachments_are_read_by_their_own_formats() -> None:
    message = make_message("Fares", "See below.")
    message.add_attachment((FILES / "text.docx").read_bytes(), "application", "octet-stream", filename="guide.docx")
    message.add_attachment(b"route;fare\nNorvik;12\n", "text", "csv", filename="fares.csv")
    message.add_attachment(make_message("Inner", "Deep words."))
    message.add_attachment(b"\0\1\2" * 99, "application", "octet-stream", filename="x.bin")
    message.add_attachment(b"PK\3\4 broken", "application", "zip", filename="x.zip")
    parsed = read(message)
    titles = [(heading.level, heading.title) for heading in parsed.headings]
    assert titles == [
        *((1, "Fares"), (2, "Attachment: guide.docx"), (3, "Kestrel handbook"), (3, "Warranty"), (4, "Setup")),
        *((3, "Prices"), (2, "Attachment: fares.csv"), (2, "Attachment: message/rfc822"), (3, "Inner")),
    ]
    assert "route | fare\nNorvik | 12" in parsed.text
    assert "Deep words." in parsed.text
    assert [warning.partition("was left out")[0] for warning in parsed.warnings[1:]] == [
        "The attachment 'x.bin' ",
        "The attachment 'x.zip' ",
    ]
    for block in parsed.blocks:
        if block.kind == "table":
            assert parsed.text[block.start : block.head] in ("Model | Euro | Pound\\|net\n", "route | fare\n")


def test_a_picture_in_the_text_is_no_attachment_and_messages_end_somewhere() -> None:
    message = make_message("Deep", "Bottom.")
    for _ in range(9):
        outer = make_message("Outer", "Words.")
        outer.add_attachment(message)
        message = outer
    parsed = read(message)
    assert "Bottom" not in parsed.text
    assert "too deep" in parsed.warnings[0]
    message = make_message("Logo", "Words.")
    message.add_attachment(b"\x89PNG", "image", "png", filename="logo.png", cid="<1>")
    assert read(message).warnings == []


MAILBOX = b"".join(
    b"From a@example.com Fri Nov 27 00:00:00 2026\n" + make_message(f"Mail {n}", text).as_bytes() + b"\n"
    for n, text in enumerate(["What does it cost?\n", "> What does it cost?\n49 euros.\n>From here on.\n"])
)


def test_a_mailbox_is_its_messages_and_quotes_of_earlier_ones_are_left_out() -> None:
    parsed = read(MAILBOX)
    assert parsed.media_type == "application/mbox"
    assert [heading.title for heading in parsed.headings] == ["Mail 0", "Mail 1"]
    assert parsed.text.count("What does it cost?") == 1
    assert parsed.text.endswith("49 euros.\n>From here on.") or parsed.text.endswith("49 euros.\nFrom here on.")


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=x-unknown\n\nf\xc3\xbcr", "für"),
        (b"From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nf\xfcr h\xf6rt", "für hört"),
        (b"From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=koi8-r\n\n\xd7\xcf\xc4\xc1", "вода"),
        (b"From: a\nMIME-Version: 1.0\nSubject: =?x-no?q?a?= =?utf-8?b?!!!?=\n\nwords", "words"),
        (b"From: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\nno parts", ""),
        (b"From: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed\n\nno boundary", ""),
        (b"From: a\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n!!!", ""),
        (b"From: a\nMIME-Version: 1.0\nContent-Type: text/plain; format=flowed\n\none \ntwo\n", "one two"),
    ],
)
def test_what_is_wrong_in_a_message_costs_no_more_than_itself(data: bytes, part: str) -> None:
    parsed = read(data)
    assert "From: a" in parsed.text
    assert part in parsed.text


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "Nd"]), min_size=1, max_size=12).map(clean)


@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS, min_size=1), st.lists(WORDS, min_size=1), st.lists(WORDS, min_size=1))
def test_no_word_of_a_message_is_lost(subject: list[str], body: list[str], attached: list[str]) -> None:
    message = make_message(" ".join(subject), "\n".join(body))
    message.add_attachment(" ".join(attached), filename="a.txt")
    text = read(message).text
    assert [word for word in [*subject, *body, *attached] if word not in text] == []


def test_a_body_without_a_charset_is_recognised_or_left_out_with_a_warning() -> None:
    head = b"From: a@example.com\nSubject: Prices\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\n"
    assert read(head + "電熱水壺的保固期".encode("big5")).text.endswith("電熱水壺的保固期")
    assert read(head + "Größe 5 €".encode("cp1252")).text.endswith("Größe 5 €")
    parsed = read(head + b"caf\xe9 \x81")
    assert parsed.text == "# Prices\n\nFrom: a@example.com"
    assert "body can't be read" in parsed.warnings[0]


@pytest.mark.parametrize("charset", ["hz-gb-2312", "utf-7"])
def test_a_body_of_seven_bits_is_read_where_it_says_in_which(charset: str) -> None:
    text = "水壶K2的保修期为十九个月"
    head = "From: a@example.org\r\nDate: Mon, 2 Jan 2006 15:04:05 +0000\r\nMIME-Version: 1.0\r\n"
    kind = f"Content-Type: text/plain; charset={charset}\r\n\r\n"
    assert text in read((head + kind).encode() + text.encode(charset.removesuffix("-gb-2312"))).text


def test_headers_that_may_be_somebodys_words_are_kept_and_those_of_programs_are_not() -> None:
    head = (
        "Received: from a by b\nX-Mailer: x\nFrom: a@example.com\nPrice: 49\nMIME-Version: 1.0\nDKIM-Signature: v=1\n"
    )
    parsed = read(f"{head}Subject: K2\nDate: Fri, 27 Nov 2026 00:00:00 +0000\nReferences: <x@y>\n\nHello.".encode())
    assert parsed.text == ("# K2\n\nFrom: a@example.com\nDate: Fri, 27 Nov 2026 00:00:00 +0000\nPrice: 49\n\nHello.")


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_header_with_bytes_beyond_ascii_is_read_as_a_text_is(encoding: str) -> None:
    data = "From: Jörg Müller <j@example.com>\nSubject: Größe für Öl\nMIME-Version: 1.0\n\nwords".encode(encoding)
    assert read(data).text == "# Größe für Öl\n\nFrom: Jörg Müller <j@example.com>\n\nwords"


def test_a_mailbox_is_cut_only_where_a_line_has_a_date_as_mailboxes_have() -> None:
    mailbox = MAILBOX.replace(b">From here on.", b"From Monday on:\nFrom May 2026\nPrice: 49")
    assert read(mailbox).text.endswith("49 euros.\nFrom Monday on:\nFrom May 2026\nPrice: 49")


PARTS = {
    "plain": "Content-Type: text/plain; charset=utf-8\n\nPlain words number {}\n",
    "html": "Content-Type: text/html; charset=utf-8\n\n<p>Page words number {}</p>\n",
    "markdown": "Content-Type: text/markdown; charset=utf-8\n\n# Marked words number {}\n",
    "attached": "Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nFile words number {}\n",
}


def make_multipart(kind: str, *parts: str) -> str:
    mark = f"=={kind}=="
    body = "".join(f"--{mark}\n{part}\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{mark}"\n\n{body}--{mark}--\n'


@given(st.lists(st.sampled_from(list(PARTS)), min_size=1, max_size=5))
@settings(max_examples=25)
def test_every_part_of_a_message_that_is_shown_is_read_once(kinds: list[str]) -> None:
    parts = [PARTS[kind].format(number) for number, kind in enumerate(kinds)]
    text = read(f"{HEAD}\nMIME-Version: 1.0\n{make_multipart('mixed', *parts)}".encode()).text
    assert [text.count(f"words number {number}") for number in range(len(kinds))] == [1] * len(kinds)


@pytest.mark.parametrize(("hint", "read_as"), [("This mail is HTML.", "page"), ("A short and whole answer.", "plain")])
def test_a_plain_text_that_only_hints_at_the_html_is_none(hint: str, read_as: str) -> None:
    page = f"<p>{'All words of the page. ' * 9}</p>" if read_as == "page" else f"<p>{hint}</p><p>Ada</p>"
    text = read(make_message("Prices", hint, page)).text
    assert ("All words" in text, hint in text) == (read_as == "page", read_as == "plain")


INVITATION = "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nLOCATION:Hall 7\nEND:VCALENDAR\n"
FILE = INVITATION.replace("\n\n", "\nContent-Disposition: attachment; filename=invite.ics\n\n", 1)


@pytest.mark.parametrize(
    "body",
    [
        INVITATION,
        make_multipart("alternative", PARTS["plain"], INVITATION),
        make_multipart("mixed", make_multipart("alternative", PARTS["plain"], INVITATION), FILE),
    ],
    ids=["alone", "beside a text", "twice"],
)
def test_an_invitation_is_read_once(body: str) -> None:
    assert read(f"{HEAD}\nMIME-Version: 1.0\n{body}".encode()).text.count("LOCATION:Hall 7") == 1


ENCODED = (
    "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>Costs =C2=A349=\n a year"
)
SAVED = "MIME-Version: 1.0\n" + make_multipart("related", ENCODED, "Content-Type: text/css\n\n@media print {}")


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (f"Message-ID: <1.2@wiki>\nSubject: Exported From Confluence\n{SAVED}", "K2.doc"),
        (SAVED, "page.mht"),
        (SAVED, "page"),
        (f"X-Unsent: 1\nTo: a@b.example\nMIME-Version: 1.0\n{ENCODED}", "draft.eml"),
        (f"\n\n{HEAD}\nMIME-Version: 1.0\n{ENCODED}", "a.eml"),
        (f"\ufeff{HEAD}\nMIME-Version: 1.0\n{ENCODED}", "a.eml"),
    ],
    ids=["Confluence's .doc", "Word's .mht", "without a name", "a draft", "behind blank lines", "behind a mark"],
)
def test_a_message_is_one_also_without_a_sender_and_behind_blanks(message: str, name: str) -> None:
    text = read(message.encode(), name).text
    assert "Costs £49 a year" in text
    assert "@media" not in text


def test_a_text_about_headers_stays_a_text() -> None:
    text = "MIME-Version: 1.0 is what a mail says first.\nContent-Type: multipart/mixed follows.\n"
    assert read(text.replace("1.0 is", "1 is").encode(), "notes.md").text == text.replace("1.0 is", "1 is")
    assert read(f"# Mail\n\n{text}".encode(), "notes.md").text == f"# Mail\n\n{text}"


@pytest.mark.parametrize("length", [b"%d\n", b"%d        \n"])
@pytest.mark.parametrize("name", ["1234.emlx", "1234"])
def test_a_message_of_apple_mail_ends_where_its_length_says(length: bytes, name: str) -> None:
    message = make_message("Prices", "The K2 costs 49.").as_bytes()
    notes = b'<?xml version="1.0"?>\n<plist version="1.0"><dict><key>flags</key><integer>1</integer></dict></plist>\n'
    parsed = read(length % len(message) + message + notes, name)
    assert parsed.text == f"# Prices\n\n{HEAD}\n\nThe K2 costs 49."
    assert parsed.media_type == "message/rfc822"


@pytest.mark.parametrize(("delsp", "text"), [("; delsp=yes", "A wrapped line."), ("", "A wrap ped line.")])
def test_a_space_that_only_marks_a_wrapped_line_goes_where_the_message_says_so(delsp: str, text: str) -> None:
    head = "From: a@example.com\nMIME-Version: 1.0\nSubject: a\n"
    message = f"{head}Content-Type: text/plain; format=flowed{delsp}\n\nA wrap \nped line.\n"
    assert read(message.encode()).text.endswith(f"\n\n{text}")


def nest(depth: int) -> bytes:
    """Write messages in each other."""
    sent = b"From: a@example.com\nTo: b@example.com\nDate: Fri, 27 Nov 2026 00:00:00 +0000\nSubject: Forwarded\n"
    return (sent + b"Content-Type: message/rfc822\n\n") * depth + b"From: a@example.com\nSubject: Innermost\n\nwords\n"


def test_messages_too_deep_in_each_other_are_refused_with_the_reason() -> None:
    with pytest.raises(DocumentUnreadable, match="in each other, too deep to be read"):
        read(nest(3000))


def test_a_message_too_deep_to_be_read_takes_no_other_of_its_mailbox_with_it() -> None:
    line = b"From a@example.com Fri Nov 27 00:00:00 2026\n"
    others = [make_message(subject).as_bytes() + b"\n" for subject in ("First", "Last")]
    parsed = read(line + others[0] + line + nest(3000) + b"\n" + line + others[1], "a.mbox")
    assert [heading.title for heading in parsed.headings] == ["First", "Last"]
    assert [warning.partition(". ")[0] for warning in parsed.warnings] == ["A message was left out"]


def test_what_is_told_of_a_document_is_bounded() -> None:
    message = make_message("Many", "See below.")
    for number in range(30):
        message.add_attachment(b"\0\1", "application", "x-unknown", filename=f"{'n' * 600}{number}.bin")
    warnings = read(message).warnings
    assert len(warnings) == 20
    assert max(map(len, warnings)) == 500
    assert warnings[-1].startswith("11 more warnings")
