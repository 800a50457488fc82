from email.message import EmailMessage
from pathlib import Path

import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers import ocr
from retrieval.parsers.child import read_document
from retrieval.parsers.formats import list_parsers
from retrieval.parsers.parsed_document import ParseLimits
from tests.retrieval.model.parsers.pdf_files import make_pdf
from tests.retrieval.model.parsers.picture_files import has_tesseract, join_pdfs, make_picture, make_scan

pytestmark = pytest.mark.model

with_tesseract = pytest.mark.skipif(not has_tesseract(), reason="tesseract isn't installed")


def refusal(data: bytes, limits: ParseLimits | None = None) -> str:
    with pytest.raises(DocumentUnreadable) as caught:
        read_document(data, "upload", limits or ParseLimits())
    return f"{caught.value.code}: {caught.value}"


@with_tesseract
def test_the_text_of_a_picture_and_of_a_scan_is_read() -> None:
    assert read_document(make_picture("The fare is 12 euros."), "a", ParseLimits()).text == "The fare is 12 euros."
    parsed = read_document(make_scan("The first page.", "The second page."), "a.pdf", ParseLimits())
    assert parsed.text == "The first page.\fThe second page."
    assert parsed.pages == [0, parsed.text.index("The second")]
    assert parsed.media_type == "application/pdf"


@with_tesseract
@pytest.mark.parametrize(
    ("data", "limits", "says"),
    [
        (make_picture(" "), ParseLimits(), "empty_file: No text can be read"),
        (make_picture("x")[:200], ParseLimits(), "invalid_file: tesseract can't read the picture"),
        (make_picture("x"), ParseLimits(wall_seconds=5.0), "invalid_file: Reading its pictures took longer than 5 s"),
        (make_pdf([""]), ParseLimits(), "empty_file: The PDF has no text layer, and OCR reads nothing"),
    ],
    ids=["blank", "truncated", "slow", "blank PDF"],
)
def test_a_picture_without_text_is_refused(data: bytes, limits: ParseLimits, says: str) -> None:
    assert refusal(data, limits).startswith(says)


def test_without_the_program_a_picture_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_PATH", "/nowhere")
    says = "Install tesseract where the retriever runs"
    assert refusal(make_picture("x")).startswith(f"unsupported_file: The file is a picture (image/png). {says}")
    assert refusal(make_scan("x")).startswith(f"empty_file: The PDF has no text layer, as a scan has none. {says}")
    mixed = join_pdfs(make_pdf(["The cover.", ""]), make_scan("x", "y"))
    parsed = read_document(mixed, "a.pdf", ParseLimits())
    assert parsed.text == "The cover.\f\f\f"
    assert parsed.warnings == [f"2 pages are pictures and weren't read, the first of them page 3. {ocr.INSTALL}"]


def attach(name: str, data: bytes) -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "The fares"
    message.set_content("They are attached.")
    message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def test_what_lacks_ocr_is_out_of_date_once_it_is_installed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mixed, scan, plain = (
        join_pdfs(make_pdf(["The cover."]), make_scan("x")),
        make_scan("x"),
        make_pdf(["All text.", ""]),
    )
    lacking = {"a.pdf": mixed, "b.eml": attach("a.pdf", mixed), "c.eml": attach("s.pdf", scan)}
    lacking |= {"d.eml": attach("p.png", make_picture("x")), "e.eml": attach("d.eml", attach("a.pdf", mixed))}
    whole = {"f.pdf": plain, "g.eml": attach("f.pdf", plain), "h.md": b"# Fares"}

    def list_present(files: dict[str, bytes], *, has_ocr: bool) -> list[bool]:
        parsers = [read_document(data, name, ParseLimits()).parser for name, data in files.items()]
        return [parser in list_parsers(has_ocr=has_ocr) for parser in parsers]

    monkeypatch.setattr(ocr, "_PATH", "/nowhere")
    assert ocr.find_program() is None
    assert list_present(lacking, has_ocr=False) == [True] * 5
    assert list_present(lacking, has_ocr=True) == [False] * 5
    assert list_present(whole, has_ocr=True) == [True] * 3
    program = tmp_path / "tesseract"
    program.write_text('#!/bin/sh\n[ "$1" = --list-langs ] && echo "Languages:" && echo eng || echo "A page."\n')
    program.chmod(0o755)
    monkeypatch.setattr(ocr, "_PATH", f"{tmp_path}:/bin")
    assert list_present(lacking, has_ocr=True) == [True] * 5
    # What was read with OCR stays as it is where it is taken away.
    assert list_present(lacking, has_ocr=False) == [True] * 5


@pytest.mark.parametrize(
    ("end", "texts", "warning"),
    [
        ("echo From a picture.", ["From a picture."] * 2, ""),
        ("exit 1", ["", ""], "2 pages are pictures and weren't read, the first of them page 2. tesseract can't read"),
        ("sleep 9", ["", ""], "2 pages are pictures and weren't read, the first of them page 2. Reading its pictures"),
    ],
    ids=["read", "refused", "slow"],
)
def test_the_pages_that_are_pictures_are_read_in_a_document_with_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str, texts: list[str], warning: str
) -> None:
    program = tmp_path / "tesseract"
    program.write_text(f'#!/bin/sh\nif [ "$1" = --list-langs ]; then printf "1 language\\neng"; else {end}; fi\n')
    program.chmod(0o700)
    monkeypatch.setattr(ocr, "_PATH", str(tmp_path))
    mixed = join_pdfs(make_pdf(["The cover."]), make_scan("x", "y"), make_pdf(["The end."]))
    parsed = read_document(mixed, "a.pdf", ParseLimits(wall_seconds=5.5 if "sleep" in end else 30.0))
    assert parsed.text.split("\f") == ["The cover.", *texts, "The end."]
    assert [one[: len(warning)] for one in parsed.warnings] == ([warning] if warning else [])
