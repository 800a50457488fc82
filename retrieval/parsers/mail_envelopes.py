"""Envelopes in which mail programs put a message or its attachments: S/MIME's signatures, Outlook's `winmail.dat`."""

import struct
from collections.abc import Iterator
from email import message_from_bytes
from email.encoders import encode_base64
from email.message import Message

__all__ = ["open_envelopes", "read_bytes"]

_SMIME = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_OCTETS, _SEQUENCE, _SET = 0x04, 0x30, 0x31
_DEEPEST = 50
_TNEF_SIGN = struct.pack("<I", 0x223E9F78)
_RENDERING, _NAME, _DATA = 0x9002, 0x8010, 0x800F

Element = tuple[int, bytes, int]
"""An element's tag, its content, and where it ends."""


def open_envelopes(message: Message) -> list[str]:
    """Put what is in a message's envelopes in their places; return a sentence for each that can't be opened."""
    warnings: list[str] = []
    pending = [(message, 0)]
    while pending:
        part, depth = pending.pop()
        if depth < _DEEPEST:
            _open(part, warnings)
        if part.is_multipart():
            parts: list[Message] = part.get_payload()  # pyright: ignore[reportAssignmentType]  # by is_multipart
            pending += [(inner, depth + 1) for inner in reversed(parts)]
    return warnings


def _open(part: Message, warnings: list[str]) -> None:
    kind, name = part.get_content_type(), (part.get_filename() or "").lower()
    if kind in _SMIME and not part.is_multipart():
        inner = _open_signed(read_bytes(part))
        if inner is None:
            warnings.append("The message is encrypted (S/MIME). Save its text, then upload it again.")
        _replace(part, [] if inner is None else [message_from_bytes(inner)])
    elif kind == "multipart/encrypted":
        warnings.append("The message is encrypted (PGP). Save its text, then upload it again.")
        _replace(part, [])
    elif kind in _TNEF or name == "winmail.dat":
        attachments = list(_read_tnef(read_bytes(part)))
        if not attachments:
            warnings.append(
                "Outlook's winmail.dat has no attachment that can be read. Have it sent as HTML or plain text."
            )
        _replace(part, attachments)


def read_bytes(part: Message) -> bytes:
    """Return the content of a part without parts of its own."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _replace(part: Message, parts: list[Message]) -> None:
    for header in ("Content-Type", "Content-Transfer-Encoding", "Content-Disposition"):
        del part[header]
    part["Content-Type"] = "multipart/mixed"
    part.set_payload([])
    for one in parts:
        part.attach(one)


def _open_signed(data: bytes) -> bytes | None:
    """Return the message inside a signature; None where there is none, as where it is encrypted.

    It is `ContentInfo`, `[0]`, `SignedData`, `encapContentInfo`, `[0]`, an octet string, maybe in pieces (RFC 5652).
    """
    try:
        info = _read(data, 0, _SEQUENCE)
        if not info[1].startswith(_SIGNED_DATA):
            return None
        signed = _read(_read(info[1], len(_SIGNED_DATA))[1], 0, _SEQUENCE)[1]
        content = _read(signed, _read(signed, _read(signed, 0)[2], _SET)[2], _SEQUENCE)[1]
        octets = _read(content, _read(content, 0)[2])[1]
        return b"".join(_join_octets(_read(octets, 0)))
    except (IndexError, ValueError):
        return None


def _join_octets(element: Element, depth: int = 0) -> Iterator[bytes]:
    tag, content, _end = element
    if tag == _OCTETS:
        yield content
        return
    at = 0
    while at < len(content) and tag == _OCTETS | 0x20 and depth < _DEEPEST:
        piece = _read(content, at)
        yield from _join_octets(piece, depth + 1)
        at = piece[2]


def _read(data: bytes, at: int, expected_tag: int | None = None, depth: int = 0) -> Element:
    """Read the element that begins at a place (BER, so that its length may be open).

    Raises:
        IndexError: The data ends before it.
        ValueError: It isn't the expected one, or too deep.
    """
    tag, length = data[at], data[at + 1]
    if expected_tag not in (None, tag) or depth > 2 * _DEEPEST:
        raise ValueError
    start = at + 2
    if length == 0x80:
        end = start
        while data[end : end + 2] != b"\0\0":
            end = _read(data, end, None, depth + 1)[2]
        return tag, data[start:end], end + 2
    if length > 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2 : start])
    if start + length > len(data):
        raise IndexError
    return tag, data[start : start + length], start + length


def _read_tnef(data: bytes) -> Iterator[Message]:
    """Yield the attachments of a `winmail.dat`: its attributes are level, number, length, content and a checksum."""
    if not data.startswith(_TNEF_SIGN):
        return
    at, name = 6, ""
    while at + 9 <= len(data):
        _level, number, _type, length = struct.unpack_from("<BHHI", data, at)
        content = data[at + 9 : at + 9 + length]
        at += 9 + length + 2
        if number == _RENDERING:
            name = ""
        elif number == _NAME:
            name = content.rstrip(b"\0").decode("cp1252", "replace")
        elif number == _DATA and len(content) == length:
            part = Message()  # of no class for one kind: it may be an envelope itself
            part.set_payload(content)
            encode_base64(part)
            part["Content-Type"] = "application/octet-stream"
            part.add_header("Content-Disposition", "attachment", filename=name or "attachment")
            yield part
