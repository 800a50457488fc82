import pytest

from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from tests.retrieval.model.parsers.pdf_files import make_pdf

pytestmark = pytest.mark.model


def parse(*annotations: str, page: str = "Name and consent") -> Parsed:
    """Parse a page with annotations, which are printed unless they say otherwise."""
    notes = "".join(
        f"<</Type/Annot/Rect[150 690 300 710]{'' if '/F ' in one else '/F 4'}{one}>>" for one in annotations
    )
    data = make_pdf([page]).replace(b"<</Type/Page/", f"<</Type/Page/Annots[{notes}]/".encode("latin-1"))
    data = data.replace(b"<</Type/Catalog", b"<</Type/Catalog/AcroForm<</Fields[]>>")
    return parse_pdf(FileContent(data, "application/pdf"), ParseLimits())


def test_what_is_filled_in_is_read_with_its_name() -> None:
    parsed = parse(
        "/Subtype/Widget/FT/Tx/T(a)/TU(Full name:)/V(Ann M\xfcller)",
        "/Subtype/Widget/FT/Tx/T(form[0].page[0].City[0])/V(Sund)",
        "/Subtype/Widget/FT/Tx/T(empty)",
        "/Subtype/Widget/FT/Btn/T(Consent)/AS/Yes/V/Yes/AP<</N<</Yes<<>>/Off<<>>>>>>",
        "/Subtype/Widget/FT/Btn/T(Advertising)/AS/Off/V/Off/AP<</N<</Yes<<>>/Off<<>>>>>>",
    )
    assert parsed.text == "Name and consent\nFull name: Ann Müller\nCity: Sund\nConsent: ☒"


def test_text_typed_onto_a_page_is_read_and_comments_and_what_is_hidden_are_not() -> None:
    parsed = parse(
        "/Subtype/FreeText/Contents(Paid on 3 May)/DA(/Helv 10 Tf)",
        "/Subtype/FreeText/F 2/Contents(evil words)/DA(/Helv 10 Tf)",
        "/Subtype/Text/Contents(a comment)",
        page="Invoice",
    )
    assert parsed.text == "Invoice\nPaid on 3 May"


def test_a_form_whose_only_text_is_filled_in_is_no_scan() -> None:
    assert parse("/Subtype/Widget/FT/Tx/T(Name)/V(Ann)", page="").text == "Name: Ann"
