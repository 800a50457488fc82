import base64

import pytest

from retrieval.parsers.charset_labels import extends_ascii, find_encoding
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParseLimits

pytestmark = pytest.mark.model

TABLE = [
    ("iso-8859-1", b"\x93caf\xe9\x94 \x96 5 \x80", "“café” – 5 €"),
    ("latin1", b"It\x92s na\xefve", "It’s naïve"),
    ("ISO_8859-1", b"It\x92s na\xefve", "It’s naïve"),
    ("us-ascii", b"It\x92s na\xefve", "It’s naïve"),
    ("iso-8859-9", b"\xfeu \x93i\xfe\x94", "şu “iş”"),
    ("windows-1254", b"\xfeu \x93i\xfe\x94", "şu “iş”"),
    ("shift_jis", "①ケトルの価格㈱".encode("cp932"), "①ケトルの価格㈱"),
    ("x-sjis", "①ケトルの価格㈱".encode("cp932"), "①ケトルの価格㈱"),
    ("windows-31j", "①ケトルの価格㈱".encode("cp932"), "①ケトルの価格㈱"),
    ("gb2312", "朱镕基總理".encode("gb18030"), "朱镕基總理"),
    ("gb_2312-80", "朱镕基總理".encode("gb18030"), "朱镕基總理"),
    ("gbk", "朱镕基總理€".encode("gb18030"), "朱镕基總理€"),
    ("x-gbk", "朱镕基總理".encode("gb18030"), "朱镕基總理"),
    ("ks_c_5601-1987", "똠방각하 펲시콜라".encode("cp949"), "똠방각하 펲시콜라"),
    ("euc-kr", "똠방각하 펲시콜라".encode("cp949"), "똠방각하 펲시콜라"),
    ("big5", "水壺的價格喺度".encode("big5hkscs"), "水壺的價格喺度"),
    ("tis-620", "“กาต้มน้ำ” 5 €".encode("cp874"), "“กาต้มน้ำ” 5 €"),
    ("windows-874", "“กาต้มน้ำ” 5 €".encode("cp874"), "“กาต้มน้ำ” 5 €"),
    ("iso-8859-8-i", "הקומקום".encode("iso8859-8"), "הקומקום"),
    ("x-mac-cyrillic", "Гарантия".encode("mac_cyrillic"), "Гарантия"),
    ("x-cp1251", "Гарантия".encode("cp1251"), "Гарантия"),
    ("koi8-ru", "Гарантія".encode("koi8_u"), "Гарантія"),
    ("windows-1251", "Гарантия".encode("cp1251"), "Гарантия"),
    ("utf-8", "Öl – 5 €".encode(), "Öl – 5 €"),
    ("cp-850", "Größe ½ Ø".encode("cp850"), "Größe ½ Ø"),
    ("x-ibm866", "Гарантия".encode("cp866"), "Гарантия"),
]


SPELLINGS = {
    "cp850": "cp-850 CP_850 x-cp850 ibm850 IBM-850 x-ibm850 dos-850 DOS850 codepage-850 oem850 850",
    "cp1251": "win-1251 win1251 windows1251 windows_1251 x-windows-1251 cp_1251 'windows-1251' mswin1251",
    "iso8859-15": "ISO8859_15 iso-8859-15 iso885915 x-iso-8859-15 windows-28605 iso-8859-15-windows",
    "cp932": "ms932 MS_932 windows-932 x-mac-japanese sjis",
    "utf-8": "utf8mb4 UTF_8 x-utf-8 65001 cp65001 'utf-8'",
    "mac_latin2": "x-mac-ce x-mac-centraleurroman macce",
}


@pytest.mark.parametrize("encoding", SPELLINGS)
def test_a_label_is_known_in_all_its_spellings(encoding: str) -> None:
    for label in SPELLINGS[encoding].split():
        assert find_encoding(label) == encoding, label
    for label in ("unknown-8bit", "x-unknown", "8bit", "binary", "default", "x-user-defined", "cp", "99999", "x-"):
        assert find_encoding(label) is None, label


def read(data: bytes, name: str) -> str:
    return read_document(data, name, ParseLimits()).text


@pytest.mark.parametrize(("label", "data", "text"), TABLE)
def test_a_label_means_all_that_programs_write_under_it(label: str, data: bytes, text: str) -> None:
    name = label.encode()
    assert read(b"<!doctype html><meta charset=" + name + b"><p>" + data, "a.html") == text
    assert read(b"<html><meta http-equiv=content-type content='text/html; charset=" + name + b"'>" + data, "a") == text
    xhtml = b'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>' + data + b"</p></body></html>"
    assert read(b'<?xml version="1.0" encoding="' + name + b'"?>\n' + xhtml, "a.xhtml") == text
    for kind, body in (("plain", data), ("html", b"<p>" + data)):
        head = f"From: a@example.com\nSubject: a\nMIME-Version: 1.0\nContent-Type: text/{kind}; charset={label}\n"
        encoded = b"Content-Transfer-Encoding: base64\n\n" + base64.b64encode(body)
        for rest in (encoded, b"Content-Transfer-Encoding: 8bit\n\n" + body):
            assert read(head.encode() + rest, "a.eml") == f"# a\n\nFrom: a@example.com\n\n{text}"


@pytest.mark.parametrize(("label", "data", "text"), [row for row in TABLE if row[0] != "us-ascii"])
def test_words_of_a_header_are_by_the_same_labels(label: str, data: bytes, text: str) -> None:
    subject = f"=?{label}?B?{base64.b64encode(data).decode()}?="
    mail = f"From: a@example.com\nSubject: {subject}\nMIME-Version: 1.0\n\nbody"
    assert read(mail.encode(), "a.eml").startswith(f"# {text}\n\n")


@pytest.mark.parametrize(
    "label", ["utf-16", "utf-16le", "utf-32", "cp037", "unicode_escape", "punycode", "rot13", "x-no", ""]
)
def test_a_page_is_in_no_encoding_in_which_its_declaration_could_not_be_read(label: str) -> None:
    encoding = find_encoding(label)
    assert encoding is None or not extends_ascii(encoding)
    data = f"<html><meta charset='{label}'><p>".encode() + "Größe für “5 €”, \\u0041 süß".encode("cp1252")
    assert read(data, "a.html") == "Größe für “5 €”, \\u0041 süß"
