import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits
from retrieval.parsers.text import clean, decode, parse_text


@pytest.mark.parametrize(
    ("data", "text", "guess"),
    [
        ("Öl für 5 €".encode(), "Öl für 5 €", ""),
        ("Öl für 5 €".encode("utf-8-sig"), "Öl für 5 €", ""),
        ("Öl 5 €".encode("utf-16"), "Öl 5 €", ""),
        ("Öl 5 €".encode("utf-32"), "Öl 5 €", ""),
        (b"\xfe\xff" + "Öl".encode("utf-16-be"), "Öl", ""),
        ("Öl für 5 €".encode("cp1252"), "Öl für 5 €", "windows-1252"),
        (b"caf\xe9 \x81", "café \x81", "iso-8859-1"),
    ],
)
def test_the_encoding_of_text_is_recognised(data: bytes, text: str, guess: str) -> None:
    assert decode(data) == (text, guess)


@pytest.mark.parametrize("data", [b"\x00\x01\x02abc", b"\xff\xfe\x00", b"abc\x07\x08", bytes(range(256))])
def test_binary_data_is_not_text(data: bytes) -> None:
    assert decode(data) is None


def test_characters_that_a_reader_does_not_see_are_left_out() -> None:
    hidden = "31\u200b mon\u00adths\ufeff \u202eevil\u202c \u2066x\u2069 \U000e0041\U000e0042.\x1b[31m\r\nnext\rlast"
    assert clean(hidden) == "31 months evil x .[31m\nnext\nlast"
    assert clean("Tab\tand page\fend, naïve 😀 水") == "Tab\tand page\fend, naïve 😀 水"


def test_plain_text_is_taken_as_it_is() -> None:
    content = FileContent(b"", "application/json", '{"a": 1}\r\n')
    assert parse_text(content, ParseLimits()) == Parsed("application/json", "", '{"a": 1}\n', [])


def test_a_text_of_invisible_characters_is_empty() -> None:
    with pytest.raises(DocumentUnreadable, match="no visible text") as caught:
        parse_text(FileContent(b"", "text/plain", "\u200b \n\t\ufeff"), ParseLimits())
    assert caught.value.code == "empty_file"
