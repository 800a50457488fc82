"""What was typed into a PDF's form or onto its pages."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.parsers.parsed_document import FileContent, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from tests.retrieval.model.parsers.pdf_files import make_field, make_page, make_pdf

pytestmark = pytest.mark.model

LABELS = make_page((12, "Order form"), (12, "Name:"), (12, "Town:"), (12, "Notes"), (12, "Please sign below."))
NAME = make_field("Ingrid Halvorsen", "200 671 400 691")  # in the row of its label
FAR = "72 60 400 80"  # from any label
TICKED = "/FT/Btn/AS/Yes/AP<</N<</Yes 3 0 R/Off 3 0 R>>>>"


def read(*annotations: bytes) -> str:
    content = FileContent(make_pdf([LABELS], annotations=annotations), "application/pdf")
    return parse_pdf(content, ParseLimits()).text


def test_a_field_s_value_stands_behind_its_label() -> None:
    assert read(NAME) == "Order form\nName: Ingrid Halvorsen\nTown:\nNotes\nPlease sign below."


@pytest.mark.parametrize(
    ("annotation", "line"),
    [
        (make_field("Ingrid\nHalvorsen", "72 612 400 624"), "Notes Ingrid Halvorsen\nPlease"),
        (make_field("Bergen", "200 648 400 668", "/FT/Ch/Ff 131072/Opt[(Bergen)(Molde)]"), "Town: Bergen\n"),
        (make_field("Yes", "40 600 54 614", TICKED), "\n☒ Please sign below."),
        (make_field("Far away", FAR), "below.\n72 60 400 80: Far away"),
        (make_field("Ann", FAR, "/FT/Tx/TU(Full name:)"), "below.\nFull name: Ann"),
        (make_field("Sund", FAR).replace(b"/T(72", b"/T(form[0].page[0].City[0])/X(72"), "below.\nCity: Sund"),
        (make_field("Yes", FAR, f"{TICKED}/TU(Consent)"), "below.\nConsent: ☒"),
        (b"<</Subtype/FreeText/Contents(Paid on 3 May)/Rect[72 60 400 80]>>", "below.\nPaid on 3 May"),
        (make_field("Ann", "400 691 200 671"), "Name: Ann\n"),  # any two opposite corners
        (b"<</Subtype/FreeText/Contents(Approved)/Rect[200 648 400 668]>>", "Town: Approved\n"),
    ],
)
def test_an_entry_stands_with_the_words_that_it_is_beside_or_below(annotation: bytes, line: str) -> None:
    assert line in read(annotation)


def test_rows_of_fields_are_rows_of_a_table() -> None:
    town, other = make_field("Bergen", "200 648 400 668"), make_field("5003", "420 648 460 668")
    assert "Name: | Ingrid Halvorsen |\nTown: | Bergen | 5003\n" in read(NAME, town, other).replace("| \n", "|\n")


@pytest.mark.parametrize(
    ("more", "rectangle"),
    [
        ("/FT/Tx/F 2", "200 648 400 668"),
        ("/FT/Tx/F 32", "200 648 400 668"),
        ("/FT/Tx/Ff 8192", "200 648 400 668"),
        ("/FT/Tx", "200 648 200 668"),
        ("/FT/Btn/Ff 65536", "200 648 400 668"),
        (TICKED.replace("/AS/Yes", "/AS/Off"), "200 648 400 668"),
    ],
)
def test_what_a_form_does_not_show_is_left_out(more: str, rectangle: str) -> None:
    assert read(make_field("Secret" if "Btn" not in more else "Off", rectangle, more)) == read()


def test_a_form_whose_only_text_is_filled_in_is_no_scan() -> None:
    field = make_field("Ann", FAR, "/FT/Tx/TU(Name)")
    content = FileContent(make_pdf([""], annotations=[field]), "application/pdf")
    assert parse_pdf(content, ParseLimits()).text == "Name: Ann"


def test_annotations_beyond_those_that_are_read_are_told() -> None:
    content = FileContent(make_pdf([LABELS], annotations=[NAME] * 2003), "application/pdf")
    parsed = parse_pdf(content, ParseLimits())
    assert parsed.text.count("Ingrid") == 2000
    assert parsed.warnings == ["3 annotations weren't read, since their pages have too many. Split the pages."]


def test_comments_are_left_out() -> None:
    assert read(b"<</Subtype/Text/Contents(a comment)/Rect[200 648 400 668]>>") == read()


PLACES = st.tuples(st.sampled_from(range(40, 500, 60)), st.sampled_from(range(100, 760, 6)))
SIZES = st.tuples(st.sampled_from([2, 40, 300]), st.sampled_from([2, 14, 200]))


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(PLACES, min_size=1, max_size=30, unique=True),
    fields=st.lists(st.tuples(PLACES, SIZES), max_size=12, unique=True),
)
def test_each_word_and_each_entry_is_there_once(
    words: list[tuple[int, int]], fields: list[tuple[tuple[int, int], tuple[int, int]]]
) -> None:
    page = "/F1 10 Tf " + " ".join(f"1 0 0 1 {x} {y} Tm (w{n}) Tj" for n, (x, y) in enumerate(words))
    annotations = [
        make_field(f"e{n}", f"{x} {y} {x + width} {y + height}", f"/FT/Tx/T(f{n})/TU(label)")
        for n, ((x, y), (width, height)) in enumerate(fields)
    ]
    parsed = parse_pdf(FileContent(make_pdf([page], annotations=annotations), "application/pdf"), ParseLimits())
    found = Counter(word for word in parsed.text.split() if word not in ("|", "label:"))
    assert found == Counter([*(f"w{n}" for n in range(len(words))), *(f"e{n}" for n in range(len(fields)))])
