import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.text import clean, decode, parse_text


@pytest.mark.parametrize(
    ("data", "text", "declared"),
    [
        ("Öl für 5 €".encode(), "Öl für 5 €", ""),
        ("Öl für 5 €".encode("utf-8-sig"), "Öl für 5 €", ""),
        ("Öl 5 €".encode("utf-16"), "Öl 5 €", ""),
        (b"\xfe\xff" + "Öl".encode("utf-16-be"), "Öl", ""),
        ("Öl für 5 €".encode("cp1252"), "Öl für 5 €", "windows-1252"),
        (b"caf\xe9 \x81", "café \x81", "iso-8859-1"),
    ],
)
def test_finds_the_encoding(data: bytes, text: str, declared: str) -> None:
    assert decode(data) == (text, declared)


@pytest.mark.parametrize("data", [b"\x00\x01\x02abc", b"\xff\xfe\x00", b"abc\x07\x08", bytes(range(256))])
def test_binary_data_is_not_text(data: bytes) -> None:
    assert decode(data) is None


def test_leaves_out_what_a_reader_does_not_see() -> None:
    hidden = "31\u200b mon\u00adths\ufeff \u202eevil\u202c \u2066x\u2069 \U000e0041\U000e0042.\x1b[31m\r\nnext\rlast"
    assert clean(hidden) == "31 months evil x .[31m\nnext\nlast"
    assert clean("Tab\tand page\fend, naïve 😀 水") == "Tab\tand page\fend, naïve 😀 水"


def test_nothing_visible_is_empty() -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        parse_text("\u200b \n\t\ufeff", "text/plain")
    assert caught.value.code == "empty_file"
