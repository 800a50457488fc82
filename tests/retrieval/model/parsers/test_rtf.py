import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from retrieval.parsers.text import clean
from tests.retrieval.model.parsers.office_files import FILES
from tests.retrieval.model.parsers.test_office import HANDBOOK

pytestmark = pytest.mark.model


def read(data: bytes) -> ParsedDocument:
    return read_document(data, "upload", ParseLimits())


def test_rows_that_define_very_many_cells_take_no_longer_for_it() -> None:
    row = "\\trowd" + "".join(f"\\cellx{end * 100}" for end in range(1, 6000)) + "\\intbl a\\cell b\\cell\\row\n"
    start = time.process_time()
    assert read(f"{{\\rtf1\\ansi {row * 4}}}".encode()).text == "\n".join(["a | b"] * 4)
    assert time.process_time() - start < 3


def test_a_file_of_libreoffice_reads_as_its_docx_does() -> None:
    parsed = read((FILES / "text.rtf").read_bytes())
    assert parsed.text == HANDBOOK
    assert parsed.title == "Kestrel handbook"
    assert [(heading.level, heading.title) for heading in parsed.headings][1:3] == [(1, "Warranty"), (2, "Setup")]
    assert [block.kind for block in parsed.blocks] == ["list", "list", "table", "code"]
    assert parsed.warnings == ["14 characters of hidden text were left out."]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb"a\par b", "a\n\nb"),
        (rb"a\line b\tab c", "a\nb c"),
        (rb"f\'fcr 5 \'80", "für 5 €"),
        (rb"\u8364? \u-3913?x", "€ \uf0b7x"),
        (rb"\uc2\u55357\'3f\'3f\u56832??!", "😀!"),
        (rb"\uc0\u8364 5", "€5"),
        (rb"{\fonttbl{\f0\fcharset204 A;}{\f1\fcharset128 B;}}\f0 \'e2\'ee\'e4\'e0 \f1 \'90\'85", "вода 水"),
        (
            rb"49{\super 1} 10{\super -}{\super 6} 5\super 1\nosupersub 5 101{\sub 2} m{\super 2}",
            "49^1 10^-6 5^1 5 101_2 m2",
        ),
        (rb"kept{\v gone}", "kept"),
        (rb"kept\v gone\v0 !", "kept!"),
        (rb"kept{\deleted gone}", "kept"),
        (rb"{\header gone\par}kept{\footer gone}", "kept"),
        (rb"kept{\*\unknown gone{\b more}}", "kept"),
        (rb"kept{\pict\wmetafile8 0102030405}", "kept"),
        (rb"kept{\bin5 }}}}}", "kept{}}}}"[:4]),
        (rb"{\colortbl;\red255\green255\blue255;}kept{\cf1 gone}", "kept"),
        (rb"{\colortbl;\red255\green255\blue255;}{\cf1\highlight2 kept}", "kept"),
        (rb"kept{\fs2 gone}", "kept"),
        (rb"{\field{\*\fldinst HYPERLINK x}{\fldrslt kept}}", "kept"),
        (rb"\{kept\}\\", "{kept}\\"),
        (rb"a{\footnote Deep.} b\par", "a (note 1) b\n\nNote 1: Deep."),
        (rb"\trowd\cellx1\cellx2\intbl a\cell b\cell\row\intbl 1\cell\cell\row\pard c", "a | b\n1 |\n\nc"),
        (rb"{\pntext 1.\tab}one\par{\pntext 2.\tab}two\par", "1. one\n2. two"),
        (b"kept\n still", "kept still"),
    ],
)
def test_what_is_shown_is_read_and_nothing_else(body: bytes, text: str) -> None:
    assert read(rb"{\rtf1\ansi\ansicpg1252 " + body + b"}").text == text


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "body",
    [b"{" * 300_000, b"}" * 300_000, rb"\cell" * 200_000, rb"\u99999999999 x" * 10_000, rb"\bin99999999 x", b"\\"],
)
def test_broken_files_cost_little(body: bytes) -> None:
    assert "words" in read(rb"{\rtf1 words\par " + body).text


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "Nd"]), min_size=1, max_size=12).map(clean)


def escape(word: str) -> str:
    units = word.encode("utf-16-le")
    return "".join(f"\\u{int.from_bytes(units[n : n + 2], 'little', signed=True)}?" for n in range(0, len(units), 2))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=1), min_size=1), st.sampled_from(["\\par ", "\\cell\\row ", "\\line "]))
def test_no_word_is_lost(paragraphs: list[list[str]], end: str) -> None:
    body = end.join(" ".join(map(escape, words)) for words in paragraphs)
    text = read(f"{{\\rtf1 {body}{end}}}".encode()).text
    assert [word for words in paragraphs for word in words if word not in text] == []


@pytest.mark.parametrize(("word", "encoding"), [("mac", "mac_roman"), ("pc", "cp437"), ("pca", "cp850")])
def test_a_text_is_in_the_encoding_of_its_computer(word: str, encoding: str) -> None:
    assert read(b"{\\rtf1\\" + word.encode() + b" caf" + "é".encode(encoding) + b"\\par}").text == "café"
