import base64
import struct
from collections.abc import Sequence

import pytest

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits

pytestmark = pytest.mark.model

_HEAD = "From: a@example.com\nSubject: Fares\nMIME-Version: 1.0\n"
_SIGNED, _ENVELOPED, _DATA = ("2a864886f70d010702", "2a864886f70d010703", "2a864886f70d010701")


def read(content_type: str, body: bytes) -> ParsedDocument:
    head = f"{_HEAD}Content-Type: {content_type}\nContent-Transfer-Encoding: base64\n\n"
    return read_document(head.encode() + base64.encodebytes(body), "a.eml", ParseLimits())


def element(tag: int, *parts: bytes, is_open: bool = False) -> bytes:
    content = b"".join(parts)
    if is_open:
        return bytes((tag, 0x80)) + content + b"\0\0"
    length = bytes((len(content),)) if len(content) < 0x80 else b"\x82" + len(content).to_bytes(2)
    return bytes((tag,)) + length + content


def sign(content: bytes, kind: str = _SIGNED, *, is_open: bool = False) -> bytes:
    """Wrap a message as S/MIME does, without certificates; as a stream its lengths are open, and it is in pieces."""
    octets = element(0x04, content)
    if is_open:
        octets = element(0x24, element(0x04, content[:9]), element(0x04, content[9:]), is_open=True)
    inner = element(0x30, element(0x06, bytes.fromhex(_DATA)), element(0xA0, octets, is_open=is_open), is_open=is_open)
    signed = element(0x30, element(0x02, b"\1"), element(0x31), inner, element(0x31), is_open=is_open)
    return element(0x30, element(0x06, bytes.fromhex(kind)), element(0xA0, signed, is_open=is_open), is_open=is_open)


@pytest.mark.parametrize("is_open", [False, True])
def test_a_message_inside_its_signature_is_read(is_open: bool) -> None:
    inner = b"Content-Type: text/plain; charset=utf-8\r\n\r\nAdults pay 12 \xe2\x82\xac on every route of the line.\r\n"
    parsed = read("application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", sign(inner, is_open=is_open))
    assert "Adults pay 12 € on every route of the line." in parsed.text
    assert parsed.warnings == []


@pytest.mark.parametrize("body", [sign(b"secret", _ENVELOPED), sign(b"x" * 99)[:40], b"", b"\x30\x80" * 900])
def test_a_message_that_is_encrypted_or_broken_says_so(body: bytes) -> None:
    parsed = read("application/pkcs7-mime; name=smime.p7m", body)
    assert "secret" not in parsed.text
    assert ["encrypted" in warning for warning in parsed.warnings] == [True]


def test_signatures_and_armour_are_no_text() -> None:
    parts = (
        "Content-Type: multipart/signed; boundary=s\n\n--s\n\nAdults pay 12.\n--s\n"
        "Content-Type: application/pkcs7-signature; name=smime.p7s\n\nMIIB\n--s--\n"
    )
    parsed = read_document((_HEAD + parts).encode(), "a.eml", ParseLimits())
    assert parsed.text == "# Fares\n\nFrom: a@example.com\n\nAdults pay 12."
    assert parsed.warnings == []
    secret = (
        'Content-Type: multipart/encrypted; boundary=s\n\n--s\nContent-Disposition: attachment; filename="a.asc"\n\n'
    )
    parsed = read_document(
        f"{_HEAD}{secret}-----BEGIN PGP MESSAGE-----\nhQEM\n--s--\n".encode(), "a.eml", ParseLimits()
    )
    assert "hQEM" not in parsed.text
    assert ["encrypted" in warning for warning in parsed.warnings] == [True]


def pack(attributes: Sequence[tuple[int, bytes]]) -> bytes:
    parts = [struct.pack("<BHHI", 2, number, 6, len(content)) + content + b"\0\0" for number, content in attributes]
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(parts)


def test_the_attachments_in_outlooks_file_are_read() -> None:
    files = [(0x9002, b"\0" * 14), (0x8010, b"fares.csv\0"), (0x800F, b"route;fare\nNorvik;12\n")]
    files += [(0x9002, b"\0" * 14), (0x800F, b"Dogs are free.")]
    parsed = read("application/ms-tnef; name=winmail.dat", pack(files))
    titles = [heading.title for heading in parsed.headings]
    assert titles == ["Fares", "Attachment: fares.csv", "Attachment: attachment"]
    assert "route | fare\nNorvik | 12" in parsed.text
    assert "Dogs are free." in parsed.text


def test_outlooks_file_in_outlooks_file_is_opened() -> None:
    data = pack([(0x8010, b"fares.txt\0"), (0x800F, b"Dogs are free.")])
    for _ in range(3):
        data = pack([(0x9002, b""), (0x8010, b"winmail.dat\0"), (0x800F, data)])
    parsed = read("application/ms-tnef; name=winmail.dat", data)
    assert parsed.text.endswith("Attachment: fares.txt\n\nDogs are free.")
    assert parsed.warnings == []


@pytest.mark.parametrize("body", [pack([]), pack([(0x800F, b"cut off here")])[:-6], b"no such file"])
def test_outlooks_file_without_anything_says_so(body: bytes) -> None:
    parsed = read("application/ms-tnef; name=winmail.dat", body)
    assert ["winmail.dat" in warning for warning in parsed.warnings] == [True]
