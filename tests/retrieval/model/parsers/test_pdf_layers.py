"""Layers of a PDF that are switched on and off."""

import pytest

from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from tests.retrieval.model.parsers.pdf_files import make_pdf

pytestmark = pytest.mark.model

SHOWN = "1 0 0 1 72 700 Tm (Dogs are free.) Tj"
ENGLISH, GERMAN = "1 0 0 1 72 680 Tm (Adults pay 12.) Tj", "1 0 0 1 72 680 Tm (Erwachsene 12.) Tj"


def read(page: str, *layers: bool) -> ParsedDocument:
    content = FileContent(make_pdf([f"/F1 12 Tf {page}"], layers=layers), "application/pdf")
    return parse_pdf(content, ParseLimits())


def on(layer: int, drawing: str) -> str:
    return f"/OC /L{layer} BDC {drawing} EMC"


def test_text_on_a_layer_that_is_off_is_left_out_and_told() -> None:
    parsed = read(f"{SHOWN} {on(0, ENGLISH)} {on(1, GERMAN)}", True, False)
    assert parsed.text == "Dogs are free.\nAdults pay 12."
    assert parsed.warnings == ["13 characters of hidden text were left out."]


def test_text_on_layers_that_are_on_is_read_as_all_other() -> None:
    page = f"{SHOWN} {on(0, ENGLISH)} {on(1, '1 0 0 1 72 640 Tm (Cats are not.) Tj')}"
    parsed = read(page, True, True)
    assert (parsed.text, parsed.warnings) == ("Dogs are free.\nAdults pay 12.\nCats are not.", [])


FORM = "ET /OC /L0 BDC /X Do EMC BT"


@pytest.mark.parametrize(
    ("mode", "is_on", "text"), [(0, True, "Adults pay 12."), (3, True, "Adults pay 12."), (0, False, "")]
)
def test_a_form_on_a_layer_is_left_out_where_it_is_off(mode: int, is_on: bool, text: str) -> None:
    """Words that OCR put behind a scan are drawn by nobody, whether their layer is on or off."""
    form = f"/F1 12 Tf {mode} Tr {ENGLISH}"
    data = make_pdf([f"/F1 12 Tf {SHOWN} {FORM}"], layers=[is_on], form=form)
    parsed = parse_pdf(FileContent(data, "application/pdf"), ParseLimits())
    assert parsed.text.splitlines() == ["Dogs are free.", *text.splitlines()]


def test_a_layer_within_one_that_is_off_is_off() -> None:
    parsed = read(f"{SHOWN} /OC /L0 BDC {on(1, ENGLISH)} EMC", False, True)
    assert parsed.text == "Dogs are free."


def test_a_small_print_on_a_layer_that_is_on_is_seen() -> None:
    parsed = read(f"{SHOWN} /F1 2 Tf {on(0, '1 0 0 1 72 60 Tm (i.) Tj')}", True)
    assert parsed.text == "Dogs are free.\ni."
