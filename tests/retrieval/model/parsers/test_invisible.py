"""Each format's own way to write a character that nobody sees: none of them comes through to the text."""

import base64
from collections.abc import Callable

import msgspec
import pytest

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParseLimits
from tests.retrieval.model.parsers.office_files import make_docx, make_epub, make_odt, make_pptx, make_xlsx

pytestmark = pytest.mark.model

HIDDEN = "\u00ad\u200b\u202e\u2066\ufeff\U000e0041"
WORDS = f"do{HIDDEN}nau"


def refer(text: str) -> str:
    """Write a text as XML and HTML may: by references to its characters."""
    return "".join(f"&#x{ord(c):x};" for c in text)


def escape_units(text: str, form: str) -> str:
    units = memoryview(text.encode("utf-16-le")).cast("H")
    return "".join(form.format(unit, unit - 65536 if unit > 32767 else unit) for unit in units)


def make_html(words: str) -> bytes:
    return (
        f"<title>{words}</title><h2>{words}</h2><p>{words}<pre>{words}</pre><ul><li>{words}</ul>"
        f"<table><tr><td>{words}<td>{words}<td><pre>{words}</pre></table>"
    ).encode()


def make_mail(_: str) -> bytes:
    encoded = base64.b64encode(WORDS.encode()).decode()
    page = base64.b64encode(make_html(refer(WORDS))).decode()
    return (
        f"Subject: =?utf-8?b?{encoded}?=\nFrom: =?utf-8?b?{encoded}?= <a@example.com>\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="x"\n\n'
        f"--x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{encoded}\n"
        f"--x\nContent-Type: text/html\nContent-Disposition: attachment; filename*=utf-8''do%E2%80%8Bnau.html\n"
        f"Content-Transfer-Encoding: base64\n\n{page}\n--x--\n"
    ).encode()


def make_json(_: str) -> bytes:
    words = escape_units(WORDS, "\\u{0:04x}")
    return f'{{"{words}": "{words}", "list": [{{"{words}": ["{words}", "{words}\\ud83d"]}}]}}'.encode()


def make_rtf(_: str) -> bytes:
    words = escape_units(WORDS, "\\u{1}?")
    return (
        rf"{{\rtf1{{\info{{\title {words}}}}}{{\stylesheet{{\s1\outlinelevel0 Heading 1;}}}}\pard\s1 {words}\par"
        rf"\pard {words}{{\footnote {words}}}\par\pard\intbl {words}\cell {words}\cell\row\pard do\'adnau\par}}"
    ).encode()


def make_markdown(words: str) -> bytes:
    return f"# {words}\n\nText.\n\n{words}\n===\n".encode()


FILES: dict[str, Callable[[str], bytes]] = {
    "a.html": make_html,
    "a.xhtml": lambda words: b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">' + make_html(words),
    "a.epub": lambda words: make_epub(
        {"one.xhtml": make_html(words).decode(), "two.xhtml": f"<p>{words}</p>"},
        contents=f'<navPoint><navLabel><text>{words}</text></navLabel><content src="two.xhtml"/></navPoint>',
    ),
    "a.docx": lambda words: make_docx(f"<w:p><w:r><w:t>{words}</w:t></w:r></w:p>"),
    "a.odt": lambda words: make_odt(f"<text:h>{words}</text:h><text:p>{words}</text:p>"),
    "a.xlsx": lambda _: make_xlsx([[WORDS, "b"], [WORDS, "1"]], sheet=""),
    "a.pptx": lambda _: make_pptx([[WORDS, WORDS]]),
    "a.eml": make_mail,
    "a.json": make_json,
    "a.jsonl": lambda words: make_json(words) + b"\n" + make_json(words) + b"\nbro\xe2\x80\x8bken\n",
    "a.rtf": make_rtf,
    "a.md": make_markdown,
    "a.csv": lambda _: f"{WORDS},b\n{WORDS},1\n".encode(),
    "a.txt": lambda _: WORDS.encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_what_a_format_writes_in_its_own_way_is_cleaned_too(name: str) -> None:
    parsed = read_document(FILES[name](refer(WORDS)), name, ParseLimits())
    titles = [parsed.title, *(heading.title for heading in parsed.headings)]
    for text in (parsed.text, *titles):
        assert not set(HIDDEN) & set(text)
    assert "donau" in (parsed.text if name != "a.md" else parsed.headings[0].title)
    assert msgspec.msgpack.encode(parsed)  # As a parser child does.


def test_a_reference_to_a_character_of_windows_is_that_character() -> None:
    page = read_document(
        b"<title>5 &#128;</title><p>It&#146;s &#x96; &#129;so<pre>&#147;a&#148;</pre>", "a", ParseLimits()
    )
    assert (page.title, page.text) == ("5 €", "It’s – so\n\n“a”")


def test_a_title_of_rtf_keeps_characters_that_are_written_in_halves() -> None:
    data = rb"{\rtf1{\info{\title a\u-10179?\u-8704?b}}\pard x{\footnote y\u-10179?\u-8704?}\par}"
    parsed = read_document(data, "a.rtf", ParseLimits())
    assert (parsed.title, parsed.text) == ("a😀b", "x (note 1)\n\nNote 1: y😀")
