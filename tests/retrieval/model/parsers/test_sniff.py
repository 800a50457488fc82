import io
import zipfile

import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.sniff import Kind, sniff

pytestmark = pytest.mark.model


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("a.txt", "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "filename", "kind", "media_type"),
    [
        (b"# Title\n\ntext", "a.md", Kind.MARKDOWN, "text/markdown"),
        (b"# Title\n\ntext", "a", Kind.MARKDOWN, "text/markdown"),
        (b"only text", "a.md", Kind.MARKDOWN, "text/markdown"),
        (b"# a comment\nkey = 1", "a.txt", Kind.TEXT, "text/plain"),
        (b"plain words", "noname", Kind.TEXT, "text/plain"),
        (b'{"a": 1}', "a.json", Kind.TEXT, "application/json"),
        (b"a,b\n1,2", "a.csv", Kind.TEXT, "text/csv"),
        (b"\n<!DOCTYPE html><html><body>x", "a.txt", Kind.HTML, "text/html"),
        (b"<p>part of a page</p>", "a.html", Kind.HTML, "text/html"),
        (b"%PDF-1.7\n...", "a.txt", Kind.PDF, "application/pdf"),
        ("für".encode("cp1252"), "a.txt", Kind.TEXT, "text/plain; charset=windows-1252"),
        (
            "<html><meta charset='shift_jis'><body>価格".encode("shift_jis"),
            "a.html",
            Kind.HTML,
            "text/html; charset=shift_jis",
        ),
    ],
)
def test_tells_kinds_by_their_content(data: bytes, filename: str, kind: Kind, media_type: str) -> None:
    found = sniff(data, filename)
    assert (found.kind, found.media_type) == (kind, media_type)
    assert (found.text is None) == (kind is Kind.PDF)


@pytest.mark.parametrize("data", [b"", b" \n\t", b"\0\0\0"])
def test_empty_files(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="is empty") as caught:
        sniff(data, "a.md")
    assert caught.value.code == "empty_file"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 20, "png"),
        (archive(), "zip"),
        (b"{\\rtf1\\ansi text}", "RTF"),
        (b"\x00\x01\x07 nothing known \x02", "binary data"),
    ],
)
def test_refusals_say_what_was_found_and_what_is_accepted(data: bytes, found: str) -> None:
    with pytest.raises(DocumentUnreadable, match=f"(?i){found}.*Accepted are Markdown") as caught:
        sniff(data, "called.md")
    assert caught.value.code == "unsupported_file"
