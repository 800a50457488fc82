"""Bytes of a text → its characters: by a mark, as UTF-8, as declared, or in an older encoding that is recognised."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace

from charset_normalizer import CharsetMatch, from_bytes

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.byte_samples import is_latin_text, take_sample
from retrieval.parsers.charset_labels import find_encoding
from retrieval.parsers.double_byte import find_double_byte
from retrieval.parsers.iso2022_jp import decode_iso2022_jp
from retrieval.parsers.single_byte import find_single_byte

__all__ = ["DecodedText", "decode_as", "decode_declared", "decode_legacy", "decode_unicode", "is_text"]

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_JAPANESE_MAIL = ("iso2022_jp", "iso2022_jp_1", "iso2022_jp_ext")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_HIGH = bytes(range(0x80, 0x100))
_ASCII = bytes(range(0x80))

_BAD_SHARE = 0.01
"""Share of broken characters up to which a file is one with an accident, and not one in another encoding."""

_SOUND = 3
"""Sound characters per broken one from which a text is UTF-8 however many are broken: no other encoding looks so."""

_CHANCE = 3
_MIXED_WORD = re.compile("[A-Za-z][\u0530-\u07ff]|[\u0530-\u07ff][A-Za-z]")
"""Letters of Armenian to N’Ko beside those of ASCII: where a text has no others but them, two of an older encoding that
are one of UTF-8 by chance (`d’é` of a Mac)."""

_EAST_ASIAN_ENCODINGS = ("gb18030", "big5", "cp932", "euc_jp", "cp949")
_CANDIDATES = [*_EAST_ASIAN_ENCODINGS, "cp874", "cp1251", "koi8_r", "koi8_u", "cp866", "cp1253", "cp1255", "cp1256"]
"""Those and what may be taken for them, in the order in which equal ones are."""

_MESS = 0.1
"""`charset_normalizer`'s measure of disorder. Of 23 pairs of a language and its encoding, one sentence each, the right
one has at most 0.03 (Turkish 0.12), a wrong one that comes first at least 0.11."""

_CHAOS_APART, _COHERENCE_APART = 0.05, 0.1
"""Encodings that aren't further apart than this by the disorder that they make, nor by their coherence (how much a text
is like a language by its letters' frequencies), can't be told apart."""

_LEAST = 8
"""Bytes beyond ASCII from which a text in no Latin script can be told."""

_MIXED = 0.05
_EAST_ASIAN = frozenset(("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "FULLWIDTH", "IDEOGRAPHIC"))
_USUAL_SIGNS = frozenset("№°€§©®™+±×÷=<>|~～")

_NAMES = {
    "cp1252": "windows-1252",
    "mac_roman": "macintosh",
    "cp932": "shift_jis",
    "cp949": "euc-kr",
    "cp874": "tis-620",
}


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A text; `encoding` is named where it was a guess or a declaration, `warning` says what was lost, if anything."""

    text: str
    encoding: str = ""
    warning: str = ""


def is_text(data: bytes) -> bool:
    """Tell whether bytes without a byte order mark can be text in an encoding that extends ASCII."""
    return _CONTROL.search(data) is None


def decode_unicode(data: bytes) -> DecodedText | None:
    """Decode what has a byte order mark or is UTF-8, if need be with a few broken characters; None for all else.

    Broken characters are an accident if there are at least three sound ones beyond ASCII for each, or if at most 1 % of
    the bytes are broken, and no more than there are sound characters: one letter of Windows-1252 in a plain English
    text is an older encoding, no accident.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return decode_as(data[len(mark) :], encoding, declared=False)
    if not is_text(data):
        return _decode_unmarked_utf16(data)
    if b"\x1b$" in data and (japanese := decode_as(data, "iso2022_jp")) is not None:
        return japanese
    text = data.decode("utf-8", "replace")
    broken = _count_broken(text, data)
    sound = len(text) - len(data.translate(None, _HIGH)) - broken
    if sound <= _CHANCE and _MIXED_WORD.search(text):
        return None
    if sound >= _SOUND * broken:
        return DecodedText(text, "", _warn_of(broken, "utf-8"))
    return decode_as(data, "utf-8", declared=False) if sound >= broken and broken <= len(data) * _BAD_SHARE else None


def _decode_unmarked_utf16(data: bytes) -> DecodedText | None:
    """Decode UTF-16 without its mark, which Latin text shows by a zero in every other byte."""
    for encoding, zeros, others in (("utf-16-le", data[1::2], data[::2]), ("utf-16-be", data[::2], data[1::2])):
        if zeros.count(0) * 2 > len(zeros) and not others.count(0) and len(data) % 2 == 0:
            decoding = decode_as(data, encoding)
            return decoding if decoding is not None and is_text(decoding.text.encode("utf-8", "replace")) else None
    return None


def decode_as(data: bytes, encoding: str, *, declared: bool = True) -> DecodedText | None:
    """Decode in one encoding, with at most 1 % of broken characters, which become U+FFFD; None where that fails."""
    try:
        text = decode_iso2022_jp(data) if encoding in _JAPANESE_MAIL else data.decode(encoding, "replace")
    except (LookupError, ValueError):  # No such encoding, or one that isn't of text.
        return None
    broken = _count_broken(text, data)
    if broken > max(len(data) * _BAD_SHARE, 1) or (broken and len(text) <= broken):
        return None
    return DecodedText(text, encoding if declared else "", _warn_of(broken, encoding))


def _warn_of(broken: int, encoding: str) -> str:
    if not broken:
        return ""
    return f"{broken} characters aren't valid {encoding} and stand as U+FFFD. Check the file where it was made."


def decode_declared(data: bytes, label: str) -> DecodedText | None:
    """Decode as a page or a mail declares, with at most 1 % of broken characters; None where that fails."""
    encoding = find_encoding(label)
    decoding = decode_as(data, encoding) if encoding is not None else None
    return replace(decoding, encoding=label.lower()) if decoding is not None else None


def decode_legacy(data: bytes) -> DecodedText:
    """Recognise an older encoding by the language that it would give.

    Raises:
        DocumentUnreadable: More than one would do, or none.
    """
    sample = take_sample(data)
    for encoding in _rank_encodings(sample):
        decoding = decode_as(data, encoding)
        if decoding is not None and not (decoding.warning and len(data) * _BAD_SHARE < 1):
            return DecodedText(decoding.text, _NAMES.get(encoding, encoding.replace("_", "-")), decoding.warning)
    raise DocumentUnreadable(
        "invalid_file",
        "The text is in an older encoding that can't be recognised for sure. Save it as UTF-8, then upload it again.",
    )


def _rank_encodings(sample: bytes) -> tuple[str, ...]:
    """Return the encodings to try, best first; empty where none is sure."""
    is_latin = is_latin_text(sample)
    if encoding := find_double_byte(sample):
        # Turkish of DOS can be Chinese characters throughout.
        return (encoding,) if not find_single_byte(sample, is_latin=is_latin) else ()
    if not is_latin:
        if len(sample.translate(None, _ASCII)) < _LEAST:
            return ()
        if encoding := _find_east_asian(sample):
            return (encoding,)
    encoding = find_single_byte(sample, is_latin=is_latin)
    return (encoding,) if encoding else ()


def _find_east_asian(sample: bytes) -> str:
    """Return the encoding in which a text is Chinese, Japanese or Korean for sure; "" if in none."""
    # Kazakh has letters that none of these encodings has: what looks like it is another language in a wrong one.
    matches = [match for match in from_bytes(sample, cp_isolation=_CANDIDATES) if match.language != "Kazakh"]
    sure = _take_sure([match for match in matches if _is_of_one_script(sample.decode(match.encoding, "replace"))])
    if sure not in _EAST_ASIAN_ENCODINGS:
        return ""
    letters = [character for character in sample.decode(sure, "replace") if character > "\x7f"]
    return sure if sum(map(_is_half_width, letters)) * 2 < len(letters) else ""


def _is_half_width(character: str) -> bool:
    """Tell so of the katakana that are one byte of Shift-JIS, such as each small letter of KOI8-R is."""
    return "\uff61" <= character <= "\uff9f"


def _take_sure(matches: list[CharsetMatch]) -> str:
    """Return the first encoding, unless it makes a mess, or another one reads as well and as much like a language."""
    if not matches or matches[0].chaos > _MESS:
        return ""
    close = [match for match in matches if match.chaos - matches[0].chaos < _CHAOS_APART]
    first, *others = sorted(close, key=lambda match: -match.coherence)
    if any(first.coherence - other.coherence < _COHERENCE_APART for other in others):
        return ""
    return first.encoding


def _is_of_one_script(text: str) -> bool:
    """Tell whether characters beyond ASCII are letters of one script, and punctuation: a wrong encoding mixes them."""
    kinds = Counter(map(_name_script, (character for character in text if character > "\x7f")))
    del kinds[""]
    return not kinds or max(kinds.values()) >= kinds.total() * (1 - _MIXED)


def _name_script(character: str) -> str:
    """Return a letter's script, "" for punctuation, and the category of other signs."""
    category = unicodedata.category(character)
    if category[0] in "LM":
        script = unicodedata.name(character, "").partition(" ")[0]
        return "CJK" if script in _EAST_ASIAN else script
    return "" if category[0] in "PZN" or character in _USUAL_SIGNS else category


def _count_broken(text: str, data: bytes) -> int:
    return text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
