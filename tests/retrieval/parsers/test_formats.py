import re
import time
from pathlib import Path

import pytest

from retrieval.parsers.document_format import DocumentFormat
from retrieval.parsers.formats import (
    ACCEPTED,
    FORMATS,
    PLAIN_TEXT,
    find_binary_format,
    find_text_format,
)

DOCUMENTS = Path(__file__).parents[3] / "docs" / "documents.md"

each_format = pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.kind)


def test_each_kind_and_each_extension_stands_in_the_table_once() -> None:
    kinds = [row.kind for row in FORMATS]
    extensions = [extension for row in FORMATS for extension in row.media_types]
    assert len(set(kinds)) == len(kinds)
    assert len(set(extensions)) == len(extensions)
    assert all(extension.startswith(".") and extension == extension.lower() for extension in extensions)


@each_format
def test_a_format_has_media_types_and_a_magic_of_one_sort(row: DocumentFormat) -> None:
    assert all(media_type.count("/") == 1 for media_type in row.media_types.values())
    if row.is_binary:
        assert (row.signature is None) != (row.archive is None)
        assert (row.opening, row.marks, row.required) == (None, None, None)


@each_format
def test_the_sentence_of_what_is_accepted_names_each_format(row: DocumentFormat) -> None:
    assert row.label in ACCEPTED


def test_the_sentence_of_what_is_accepted_reads_well() -> None:
    assert ACCEPTED == (
        "Accepted are Markdown, reStructuredText, AsciiDoc, Org, HTML, PDF, Word (.docx), PowerPoint (.pptx), Excel "
        "(.xlsx), OpenDocument (.odt, .ods, .odp), RTF, EPUB, e-mail (.eml, .mbox), pictures of text (by OCR, if "
        "tesseract is installed), CSV and TSV, JSON, Jupyter notebooks, subtitles (.vtt, .srt), source code and plain "
        "text in UTF-8, UTF-16, or an older encoding that is declared or can be recognised."
    )


@each_format
def test_the_documentation_lists_each_extension(row: DocumentFormat) -> None:
    rows = [line for line in DOCUMENTS.read_text().splitlines() if line.startswith("|")]
    listed = {extension for line in rows for extension in re.findall(r"`(\.\w+)`", line.split("|")[2])}
    assert set(row.media_types) <= listed


def test_plain_text_comes_last_and_takes_what_nothing_else_does() -> None:
    assert FORMATS[-1] is PLAIN_TEXT
    assert find_text_format("words", "no-name") is PLAIN_TEXT
    assert find_binary_format(b"words", "no-name", is_text=True) is None


@each_format
def test_a_name_of_no_format_gets_the_formats_own_media_type(row: DocumentFormat) -> None:
    assert row.media_type_of("download") == row.media_type_of("a.unknown") == next(iter(row.media_types.values()))
    for extension, media_type in row.media_types.items():
        assert row.media_type_of(f"Report{extension.upper()}") == media_type


@pytest.mark.parametrize("name", ["a.py", "a.yaml", "a.sh", "Makefile.am", "a.toml", "a.rst"])
def test_a_comment_in_code_is_no_heading(name: str) -> None:
    assert find_text_format("# a comment\nkey = 1\n", name).kind in ("code", "rst", "text")


@pytest.mark.parametrize("name", ["a.md", "a.MARKDOWN", "a.mdx", "README", "Notes 2.1"])
def test_a_name_of_markdown_or_of_nothing_leaves_headings(name: str) -> None:
    assert find_text_format("# A heading\n\ntext\n", name).kind == "markdown"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", "# one comment\n\nFROM python\n"),
        ("makefile", "# one comment\nall: tea\n"),
        ("start", "#!/bin/sh\n# one comment\n\nmake tea\n"),
        ("hosts", "# a comment\n# of two lines\n\n127.0.0.1 here\n"),
        ("settings", "key = 1\n#\n# a comment\n#\nother = 2\n"),
    ],
)
def test_comments_of_files_without_an_extension_are_no_headings(name: str, text: str) -> None:
    assert find_text_format(text, name) is PLAIN_TEXT


@pytest.mark.parametrize(
    "text", ["# A\n## B\n", "```sh\n# a\n# b\n```\n", "Title\n=====\n# a\n# b\n", "a\n\n#### Last"]
)
def test_headings_of_files_without_an_extension_are_found(text: str) -> None:
    assert find_text_format(text, "README").kind == "markdown"


@pytest.mark.parametrize("name", ["example.org", "www.example.org", "org", ".org"])
def test_headings_of_a_text_that_is_called_like_a_host_are_no_comments(name: str) -> None:
    text = "# Prices\n\nIt costs 49 euros.\n\n# Care\n\nWipe it.\n"
    assert find_text_format(text, name).kind == ("text" if name.startswith(("example", "www")) else "markdown")


@pytest.mark.parametrize("line", ["* Prices", "#+TITLE: Prices", "| K2 | 49 |", "See [[https://x.example]].", ":LOG:"])
def test_a_text_with_marks_of_org_is_that_by_its_name(line: str) -> None:
    assert find_text_format(f"# a comment\n\nIt costs 49 euros.\n{line}\n", "notes.org").kind == "org"


@pytest.mark.parametrize("beginning", ["", "<?xml version='1.0'?>\n"])
def test_many_comments_in_front_take_no_time(beginning: str) -> None:
    begun = time.process_time()
    few, comments = (beginning + "<!-- a > b -->\n" * number for number in (60, 200))
    assert find_text_format(f"{comments}<xsl:stylesheet>", "a.xsl") is PLAIN_TEXT
    assert find_text_format(f"{few}<html><body>", "a").kind == "html"
    assert find_text_format(f"{few}<html> is an element", "a.md").kind == "markdown"
    assert time.process_time() - begun < 4


@pytest.mark.parametrize("text", ["<p>part of a page</p>", "\n<div class='x'><h1>Prices</h1></div>", "<table><tr><td>"])
def test_a_part_of_a_page_is_html_where_its_name_says_nothing(text: str) -> None:
    assert find_text_format(text, "download").kind == "html"
    assert find_text_format(text, "a.md").kind == "markdown"


PDF_END = b"\n1 0 obj<<>>endobj\nxref\ntrailer<<>>\nstartxref\n9\n%%EOF\n"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.4\n",
        b"\xef\xbb\xbf\r\n%PDF-2.0\n",
        b"\x1b%-12345X@PJL ENTER LANGUAGE=PDF\r\n%PDF-1.4\n",
        b"HTTP/1.1 200 OK\nContent-Type: application/pdf\n\n%PDF-1.4" + PDF_END,
    ],
)
def test_a_pdf_begins_as_one_or_after_a_little_junk(data: bytes) -> None:
    assert getattr(find_binary_format(data, "a.txt", is_text=False), "kind", "") == "pdf"


@pytest.mark.parametrize(
    "data",
    [b"A PDF begins with %PDF-1.4.", b"# PDF\n\n```\n%PDF-1.4" + PDF_END + b"```\n", b"\n\n%PDF-\n\nwhat it means"],
)
def test_a_text_about_pdf_is_a_text(data: bytes) -> None:
    assert find_binary_format(data, "a.txt", is_text=True) is None


def test_the_end_of_a_text_is_looked_at_for_none_of_its_lines() -> None:
    data = b"x\n" * 1_500_000
    begun = time.process_time()
    assert find_binary_format(data, "a.txt", is_text=True) is None
    assert time.process_time() - begun < 4


@each_format
def test_what_could_be_a_text_is_of_a_binary_format_by_its_own_name_or_its_structure(row: DocumentFormat) -> None:
    begin = {
        "pdf": b"%PDF-1.7 is one",
        "rtf": b"{\\rtf1 is one",
        "picture": b"GIF89a",
        "email": b"From: a\nReturn-Path:",
    }
    if row.signature is not None:
        data = begin[row.kind]
        assert find_binary_format(data, f"a{next(iter(row.media_types))}", is_text=True) is row
        assert find_binary_format(data, "a.md", is_text=False) is row
        assert [find_binary_format(data, name, is_text=True) for name in ("a.md", "README", "a.docx")] == [None] * 3


@pytest.mark.parametrize(
    "text",
    [
        "<html> is the root element.",
        "<!DOCTYPE html>\n\nbegins a page",
        "<html>\n<head>\n<body>\n\nare elements of each page",
        "<head>, <body>, and </body>",
    ],
)
def test_a_text_that_begins_with_an_element_is_no_page_where_its_name_says_so(text: str) -> None:
    assert find_text_format(text, "a.md").kind == "markdown"
    assert find_text_format(text, "a.yaml") is PLAIN_TEXT
    assert find_text_format(text, "a.html").kind == find_text_format(text, "download").kind == "html"
