import gzip
import io
import lzma
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParseLimits
from retrieval.parsers.sniff import sniff

pytestmark = pytest.mark.model


def make_archive(member: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "filename", "kind", "media_type"),
    [
        (b"# Title\n\ntext", "a.md", "markdown", "text/markdown"),
        (b"# Title\n\ntext", "a", "markdown", "text/markdown"),
        (b"only text", "a.md", "markdown", "text/markdown"),
        (b"# a comment\nkey = 1", "a.txt", "text", "text/plain"),
        (b"plain words", "noname", "text", "text/plain"),
        (b"plain words", "report.pdf", "text", "text/plain"),
        (b'{"a": 1}', "a.json", "json", "application/json"),
        (b"a,b\n1,2", "a.CSV", "csv", "text/csv"),
        (b"# a comment\nkey = 1", "a.py", "code", "text/x-python"),
        (b"\n<!DOCTYPE html><html><body><p>x</p>", "a.txt", "html", "text/html"),
        (b"\n<!-- # x --><html><body>x</body>", "a.md", "html", "text/html"),
        (b"<p>part of a page</p>", "a.html", "html", "text/html"),
        (b"# no element", "a.html", "text", "text/plain"),
        (b"%PDF-1.7\n...", "a.pdf", "pdf", "application/pdf"),
        (b"%PDF-1.7\n...\nstartxref\n9\n%%EOF\n", "a.txt", "pdf", "application/pdf"),
        (b"{\\rtf1\\ansi Words.}\n", "a.txt", "rtf", "application/rtf"),
        (b"GIF89a\x01\0\x01\0", "a.txt", "picture", "image/png"),
        (b"\0" * 1019 + b"%PDF-1.7\n...", "a.json", "pdf", "application/pdf"),
        ("für".encode("cp1252"), "a.txt", "text", "text/plain; charset=windows-1252"),
        (
            "<html><meta charset='shift_jis'><body>価格".encode("shift_jis"),
            "a.html",
            "html",
            "text/html; charset=shift_jis",
        ),
        (
            "<html><meta charset='no-such-charset'><body>für".encode("cp1252"),
            "a.html",
            "html",
            "text/html; charset=windows-1252",
        ),
    ],
)
def test_a_format_is_told_by_content_and_then_by_name(data: bytes, filename: str, kind: str, media_type: str) -> None:
    format_, content = sniff(data, filename)
    assert (format_.kind, content.media_type, content.data) == (kind, media_type, data)
    assert bool(content.text) == (format_.signature is None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<!doctype html><p>für", "html"),
        ('{"a": "für"}', "text"),
        ("<?xml version='1.0'?><a>für</a>", "text"),
        ("From: a@example.com\nSubject: für", "text"),
        ("import os  # für", "text"),
        ("# Für", "markdown"),
    ],
)
def test_a_kind_of_text_with_a_signature_is_accepted_in_windows_1252_too(text: str, kind: str) -> None:
    format_, content = sniff(text.encode("cp1252"), "a")
    assert (format_.kind, content.text) == (kind, text)
    assert content.media_type.endswith("; charset=windows-1252")


@pytest.mark.parametrize("data", [b"", b" \n\t", b"\0\0\0"])
def test_a_file_without_any_content_is_empty(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="is empty") as caught:
        sniff(data, "a.md")
    assert caught.value.code == "empty_file"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypmp42" + b"\0" * 20, r"\.mp4.* Upload what is said in it as text\."),
        (make_archive("a.txt"), r"a ZIP archive .* Unpack it first\."),
        (make_archive("xl/workbook.bin"), r"a binary Excel workbook .* Save it as \.xlsx\."),
        (b"%!PS-Adobe-3.0\n%%Pages: 1\n", r"a PostScript document.* Save it as PDF\."),
        (gzip.compress(b"It costs 49 euros."), r"a packed file .* Unpack it first\."),
        (lzma.compress(b"It costs 49 euros."), r"a packed file .* Unpack it first\."),
        (b"\0" * 257 + b"ustar\x0000" + b"\0" * 99, r"a packed file .* Unpack it first\."),
        (b"MZ\x90\0\x03\0\0\0", r"a program.* It has no text for a reader\."),
        (b"\0\0\0\x18ftypheic" + b"\0" * 20, r"a picture .* Save it as \.png or \.jpg\."),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0", r"a sound recording .* Upload what is said in it as text\."),
        (b"SQLite format 3\0\x10\0", r"a database .* Export its tables as \.csv\."),
    ],
)
def test_a_refusal_names_the_format_and_ends_with_the_way_out(data: bytes, name: str) -> None:
    with pytest.raises(DocumentUnreadable, match=f"(?i)The file is .*{name}$") as caught:
        sniff(data, "called.md")
    assert caught.value.code == "unsupported_file"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x07 nothing known \x02",
        b"\x07\x07\x07\xff nothing known \x02",
        b"\x05\x00\x00\x00" + b"\0\x01" * 9,
        b"IDPO\0\x01\0",
    ],
)
def test_a_refusal_of_what_nobody_knows_names_all_that_is_accepted(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match=r"binary data.* Convert it first\. Accepted are Markdown.*\.$"):
        sniff(data, "called.md")


BEGINNINGS = (
    *("From January 2026 the price is 49.\nWarranty: two", "From: Ann\nTo: Bo\nDate: 5 Jan 2026 10:00\nPrice: 49\n"),
    *(
        "From Ann: 5 May 2026 09:30\nPrice: 49",
        "Return-Path: of the pages\nFrom: 1\n",
        "Date: 5 Jan 2026 10:00\nFrom: a",
    ),
    *("<html> is the root element.", "<!doctype html>\nbegins it", "<body>\n<head>\n", "<!-- # --><html>"),
    *("{\\rtf1 begins RTF", "%PDF-1.7 is a version", "%!PS-Adobe-3.0 begins it", "%!PS", "GIF89a is one", "ÿØÿ", "II*"),
    *("BMW", "BM", "MZ", "ID3", "Rar!", "PK", "RIFF1234WEBP", "---\na: 1\n---\n", "#!/bin/sh\n", "<?xml ?>", "<?php"),
    *("sep=;", "{", "[", "# a\n", "```\n", "=====\n", ""),
)
"""How texts begin whose first characters mean something else in a file of another kind."""

words = st.text(
    st.characters(codec="latin-1", categories=["L", "Nd"], exclude_characters="ªºµ"), min_size=1, max_size=9
)
lines = st.lists(st.lists(words, max_size=6).map(" ".join), max_size=5)


@given(
    st.sampled_from(BEGINNINGS),
    st.sampled_from(("", " ", "\n", ": ")),
    lines,
    st.sampled_from(("md", "txt", "yaml", "rst")),
)
@settings(max_examples=200, deadline=None)
def test_a_text_keeps_every_word_however_it_begins(beginning: str, gap: str, rest: list[str], name: str) -> None:
    text = f"{beginning}{gap}Words follow. {'|'.join(rest)}"
    left = read_document(text.replace("|", "\n").encode(), f"a.{name}", ParseLimits()).text
    assert left.split() == text.replace("|", " ").replace("<!-- # -->", "" if name == "md" else "<!-- # -->").split()


@pytest.mark.parametrize("beginning", ["BMW", "MZ", "ID3", "Rar!", "GIF89a", "{\\rtf1", "%!PS", "%PDF-1.7"])
def test_a_text_in_an_older_encoding_is_one_however_it_begins(beginning: str) -> None:
    text = f"{beginning} für die Größe, schön und übersichtlich"
    assert read_document(text.encode("cp1252"), "a.txt", ParseLimits()).text == text


def test_a_pointer_to_a_file_of_git_lfs_is_no_text_and_a_text_about_pointers_is() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for data in (pointer, pointer.replace(b"\n", b"\r\n"), pointer.replace(b"oid", b"ext-0-a sha256:1\noid")):
        with pytest.raises(DocumentUnreadable, match="pointer of Git LFS"):
            sniff(data, "manual.pdf")
    assert sniff(pointer + b"\nSo a pointer looks.\n", "a.md")[0].kind == "markdown"
